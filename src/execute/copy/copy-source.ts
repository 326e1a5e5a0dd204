import { Readable } from 'node:stream';

/** What a COPY FROM STDIN can read. Strings are sent as UTF-8. Node's `Readable` is an async iterable. */
export type CopySource = string | Uint8Array | AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;

/** Longest piece handed on: larger ones are cut, so that sending starts early and copies stay small. */
const pieceBytes = 1 << 16;

/** Pieces of a source, one at a time. */
export interface CopyPieces {
  /** The next piece, or undefined at the end; rejects with the source's error. */
  next(): Promise<Uint8Array | undefined>;
  /** Ends the source early; does not wait for a source that is silent. */
  leave(): void;
}

/**
 * Opens a source: pieces of at most 64 KB, none empty. A piece may be changed by the source once the next is asked for.
 */
export function openCopySource(source: CopySource): CopyPieces {
  const pieces = copyPieces(source);
  return {
    async next() {
      const result = await pieces.next();
      return result.done === true ? undefined : result.value;
    },
    leave() {
      if (source instanceof Readable) source.destroy();
      // A generator that waits for its source ends only after it: nobody can wait for that. It has nothing left to say.
      pieces.return().catch(() => undefined);
    },
  };
}

async function* copyPieces(source: CopySource): AsyncGenerator<Uint8Array, void, undefined> {
  if (typeof source === 'string' || source instanceof Uint8Array) {
    yield* cut(source);
    return;
  }
  const text = new TextJoiner();
  for await (const piece of source) yield* cut(typeof piece === 'string' ? text.join(piece) : piece);
  yield* cut(text.rest());
}

function* cut(piece: string | Uint8Array): Generator<Uint8Array, void, undefined> {
  if (typeof piece === 'string') {
    yield* cutText(piece);
    return;
  }
  for (let start = 0; start < piece.length; start += pieceBytes) yield piece.subarray(start, start + pieceBytes);
}

/** Encodes part by part: a long string is never held twice. */
function* cutText(text: string): Generator<Uint8Array, void, undefined> {
  const characters = pieceBytes / 4;
  let start = 0;
  while (start < text.length) {
    let end = Math.min(start + characters, text.length);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end += 1;
    yield Buffer.from(text.slice(start, end));
    start = end;
  }
}

/** Joins the halves of a character that a source cut between two strings. */
class TextJoiner {
  #half = '';

  join(piece: string): string {
    const text = this.#half + piece;
    const split = isHighSurrogate(text.charCodeAt(text.length - 1));
    this.#half = split ? text.slice(-1) : '';
    return split ? text.slice(0, -1) : text;
  }

  rest(): string {
    return this.#half;
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

import { ClusterError } from '../../base/errors.ts';
import type { CopySink } from '../../cluster/node-connection.ts';
import { memoryBytesMax } from '../staged/hold-rows.ts';

/** Takes what is written into memory, and opens the COPY only at the end, when nothing else needs its connection. `resultTooLarge` past `memoryBytesMax`. */
export class HeldBackSink implements CopySink {
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  #ending: Promise<number> | undefined;

  constructor(private readonly open: () => Promise<CopySink>) {}

  write(piece: Uint8Array): Promise<void> {
    this.#bytes += piece.length;
    if (this.#bytes > memoryBytesMax) return Promise.reject(tooLarge());
    this.#pieces.push(piece);
    return Promise.resolve();
  }

  end(): Promise<number> {
    this.#ending ??= this.#send();
    return this.#ending;
  }

  async fail(): Promise<void> {
    await this.#ending?.catch(() => undefined);
  }

  async #send(): Promise<number> {
    const sink = await this.open();
    try {
      for (const piece of this.#pieces) await sink.write(piece);
    } catch (error) {
      await sink.fail('writing failed');
      throw error;
    }
    return sink.end();
  }
}

function tooLarge(): ClusterError {
  return new ClusterError('resultTooLarge', `the rows of a COPY exceed ${memoryBytesMax} bytes`, {
    detail: 'Values of left-out columns come from the coordinator database, to whose own copy of the reference table the rows go when all are there.',
    hint: 'Copy fewer rows at a time, or give a value for each column.',
  });
}

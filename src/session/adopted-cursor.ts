import type { QueryResult } from 'pg';

/** What pg-cursor's objects have that matters here; a pg-query-stream has one of them as `cursor`. */
export interface CursorLike {
  readonly text: string;
  readonly values: readonly unknown[] | null;
  readonly _conf?: { readonly rowMode?: string; readonly types?: never } | null;
  read(rows: number, callback?: ReadCallback): Promise<unknown[]> | undefined;
  close(callback?: (error?: unknown) => void): Promise<void> | undefined;
}

type ReadCallback = (error: unknown, rows?: readonly unknown[], result?: Pick<QueryResult, 'command' | 'rowCount' | 'rows'>) => void;

/** The cursor in what was given to `query`, if it is one; pg-cursor is not needed for that. */
export function cursorIn(submitted: unknown): CursorLike | undefined {
  if (isCursor(submitted)) return submitted;
  const inner = typeof submitted === 'object' && submitted !== null && 'cursor' in submitted ? submitted.cursor : undefined;
  return isCursor(inner) ? inner : undefined;
}

function isCursor(value: unknown): value is CursorLike {
  if (typeof value !== 'object' || value === null || !('submit' in value) || !('text' in value) || !('values' in value)) return false;
  return 'read' in value && typeof value.read === 'function' && 'close' in value && typeof value.close === 'function' && typeof value.text === 'string';
}

/**
 * Gives a cursor object other feet: its `read` and `close` pull from `open()`'s batches of rows, once `turn` has been called. That resolves when the cursor is
 * closed, has come to its end or has failed: until then the session does nothing else, as pg's client.
 */
export function adoptCursor(cursor: CursorLike, open: () => AsyncIterable<readonly unknown[]>): { turn(): Promise<void> } {
  const rows = new PulledRows(open);
  const over = deferred();
  const begun = deferred();
  let tail = begun.promise;
  const queued = <T>(work: () => Promise<T>): Promise<T> => {
    const result = tail.then(work);
    tail = result.then(ignored, ignored);
    return result;
  };
  const finish = async (): Promise<void> => {
    await rows.close();
    over.resolve();
  };
  const read = async (count: number): Promise<unknown[]> => {
    try {
      const taken = await rows.take(count);
      if (taken.length < count) await finish();
      return taken;
    } catch (error) {
      await finish();
      throw error;
    }
  };
  cursor.read = (count, callback) => {
    const taken = queued(() => read(count));
    if (callback === undefined) return taken;
    taken.then(
      (found) => process.nextTick(callback, null, found, { command: 'SELECT', rowCount: found.length, rows: found }),
      (error: unknown) => process.nextTick(callback, error),
    );
    return undefined;
  };
  cursor.close = (callback) => {
    const closed = queued(finish);
    if (callback === undefined) return closed;
    closed.then(() => process.nextTick(callback), (error: unknown) => process.nextTick(callback, error));
    return undefined;
  };
  return {
    turn: () => {
      begun.resolve();
      return over.promise;
    },
  };
}

function ignored(): void {}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = ignored;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

/** Rows by number, out of batches. */
class PulledRows {
  #batches: AsyncIterator<readonly unknown[]> | undefined;
  #waiting: unknown[] = [];
  #ended = false;

  constructor(private readonly open: () => AsyncIterable<readonly unknown[]>) {}

  async take(count: number): Promise<unknown[]> {
    while (this.#waiting.length < count && !this.#ended) {
      this.#batches ??= this.open()[Symbol.asyncIterator]();
      const next = await this.#batches.next();
      if (next.done === true) this.#ended = true;
      else this.#waiting.push(...next.value);
    }
    return this.#waiting.splice(0, count);
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#waiting = [];
    await this.#batches?.return?.();
  }
}

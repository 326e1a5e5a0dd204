import { onAbort } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import { memoryBytesMax, ResultSize } from '../execute/staged/hold-rows.ts';

/** Where FETCH and MOVE go. `rows` as PostgreSQL counts them; Infinity for ALL. */
export interface Movement {
  readonly direction: 'forward' | 'backward' | 'absolute' | 'relative';
  readonly rows: number;
}

/** The rows of an open cursor, and where it stands. */
export interface CursorRows {
  /** The rows that a FETCH gives. Throws 55000 for a direction that the cursor cannot go. */
  move(movement: Movement, signal?: AbortSignal): Promise<readonly RawRow[]>;
  close(): Promise<void>;
}

/** Reads on as it is moved, only forward: memory holds one batch. */
export class ForwardRows implements CursorRows {
  readonly #batches: AsyncIterator<readonly RawRow[]>;
  #batch: readonly RawRow[] = [];
  #taken = 0;
  /** Rows passed. */
  #position = 0;
  #current: RawRow | undefined = undefined;

  /** Outlives the statement that declares the cursor; each one that reads on may end it. */
  readonly #reading = new AbortController();

  private constructor(batches: (signal: AbortSignal) => AsyncIterable<readonly RawRow[]>) {
    this.#batches = batches(this.#reading.signal)[Symbol.asyncIterator]();
  }

  /** Runs the query to its first rows: from now on later changes are not seen. */
  static async open(batches: (signal: AbortSignal) => AsyncIterable<readonly RawRow[]>, signal: AbortSignal | undefined): Promise<ForwardRows> {
    const rows = new ForwardRows(batches);
    using _listening = rows.#endBy(signal);
    await rows.#more();
    return rows;
  }

  async move({ direction, rows }: Movement, signal?: AbortSignal): Promise<readonly RawRow[]> {
    using _listening = this.#endBy(signal);
    if (direction === 'forward' && rows > 0) return await this.#take(rows);
    if (rows === 0 && direction !== 'absolute') return this.#current === undefined ? [] : [this.#current];
    const steps = direction === 'relative' ? rows : direction === 'absolute' ? rows - this.#position : -1;
    if (steps < 1) throw onlyForward();
    const passed = await this.#take(steps);
    return passed.length < steps ? [] : passed.slice(-1);
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }

  #endBy(signal: AbortSignal | undefined): Disposable {
    return onAbort(signal, () => this.#reading.abort(signal?.reason));
  }

  async #take(rows: number): Promise<RawRow[]> {
    const taken: RawRow[] = [];
    while (taken.length < rows && (this.#taken < this.#batch.length || (await this.#more()))) {
      const next = this.#batch.slice(this.#taken, this.#taken + Math.min(rows - taken.length, this.#batch.length));
      for (const row of next) taken.push(row);
      this.#taken += next.length;
    }
    this.#position += taken.length;
    this.#current = taken.length < rows ? undefined : taken.at(-1);
    return taken;
  }

  async #more(): Promise<boolean> {
    if (this.#taken < this.#batch.length) return true;
    const next = await this.#batches.next();
    this.#batch = next.done === true ? [] : next.value;
    this.#taken = 0;
    return this.#batch.length > 0;
  }
}

/** All rows in memory: for SCROLL, and WITH HOLD after its transaction. */
export class KeptRows implements CursorRows {
  /** 0 before the first row, one more than their number behind the last. */
  #position = 0;

  constructor(private readonly rows: readonly RawRow[]) {}

  move({ direction, rows }: Movement): Promise<readonly RawRow[]> {
    if (direction === 'absolute') return Promise.resolve(this.#stand(rows < 0 ? this.rows.length + 1 + rows : rows));
    if (direction === 'relative' || rows === 0) return Promise.resolve(this.#stand(this.#position + rows));
    return Promise.resolve((direction === 'forward') === rows > 0 ? this.#forward(Math.abs(rows)) : this.#backward(Math.abs(rows)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #stand(position: number): readonly RawRow[] {
    this.#position = Math.min(Math.max(position, 0), this.rows.length + 1);
    return this.rows.slice(this.#position - 1, this.#position).filter(() => this.#position > 0);
  }

  #forward(count: number): readonly RawRow[] {
    const taken = this.rows.slice(this.#position, this.#position + count);
    this.#position = taken.length < count ? this.rows.length + 1 : this.#position + count;
    return taken;
  }

  #backward(count: number): readonly RawRow[] {
    const end = Math.max(this.#position - 1, 0);
    const taken = this.rows.slice(Math.max(end - count, 0), end).toReversed();
    this.#position = taken.length < count ? 0 : this.#position - count;
    return taken;
  }
}

/** All rows of a cursor that scrolls or is held, as many as memory may hold. */
export async function keptRows(batches: AsyncIterable<readonly RawRow[]>, name: string): Promise<RawRow[]> {
  const size = new ResultSize(`cursor ${name}`, { limit: memoryBytesMax, memoryOf: 'block' });
  const rows: RawRow[] = [];
  for await (const batch of batches) {
    size.add(batch);
    for (const row of batch) rows.push(row);
  }
  return rows;
}

function onlyForward(): ClusterError {
  return new ClusterError('invalidParameter', 'cursor can only scan forward', { sqlState: '55000', hint: 'Declare it with SCROLL option to enable backward scan.' });
}

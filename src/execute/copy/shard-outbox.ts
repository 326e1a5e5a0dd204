import { at } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { CallOptions, CopySink } from '../../cluster/node-connection.ts';
import { tellOrigin } from './copy-error.ts';
import type { CopyFormat } from './copy-options.ts';
import { Interrupt } from './interrupt.ts';
import { NodeLane } from './node-lane.ts';
import { envelopeBytes, ShardBuffer } from './shard-buffer.ts';

/** A shard to copy into. */
export interface CopyTarget {
  readonly node: NodeId;
  /** The shard's bare name, as its server writes it in errors. */
  readonly name: string;
  /** The COPY FROM STDIN into it. */
  readonly sql: string;
}

export interface ShardOutboxOptions {
  /** By ordinal of the shard group. */
  readonly targets: readonly CopyTarget[];
  readonly format: CopyFormat;
  /** The table's name, for error contexts. */
  readonly relation: string;
  /** Columns that the caller did not list are added to the rows. */
  readonly hasAdded: boolean;
  /** Starts a COPY on a node's connection. One at a time per node. */
  readonly copyIn: (node: NodeId, sql: string, options: CallOptions) => Promise<CopySink>;
  /** Makes a node's error speak of the table: its message and fields name the shard. The context is put right already. */
  readonly translateError: (error: unknown, ordinal: number) => unknown;
  readonly memoryBytesMax: number;
  /** So many rows were stored in a shard. */
  readonly onRows?: ((ordinal: number, rows: number) => void) | undefined;
}

/** A shard's buffer is sent at this length; below, the COPY's own cost (0.3 ms) shows. */
const bufferBytesMax = 256 * 1024;
const bufferBytesMin = 16 * 1024;
/** An idle node is given a buffer that is at least so full. */
const eagerBytes = 64 * 1024;

/**
 * Gathers rows by shard and sends each full buffer as a COPY of its own: one connection per node, nodes side by side, memory
 * below `memoryBytesMax` (but for a single larger row) whatever the number of shards and the size of the input.
 */
export class ShardOutbox {
  readonly #options: ShardOutboxOptions;
  readonly #bufferBytes: number;
  readonly #open: (ShardBuffer | undefined)[];
  readonly #lanes = new Map<NodeId, NodeLane<ShardBuffer>>();
  readonly #spare: ShardBuffer[] = [];
  readonly #abort = new AbortController();
  #heldBytes = 0;
  #rows = 0;
  #wake: (() => void) | undefined;
  /** Raised with the first error of a node. */
  readonly interrupt = new Interrupt();

  constructor(options: ShardOutboxOptions) {
    this.#options = options;
    const share = options.memoryBytesMax / 2 / options.targets.length;
    this.#bufferBytes = Math.floor(Math.min(Math.max(share, bufferBytesMin), bufferBytesMax));
    this.#open = Array.from({ length: options.targets.length });
    for (const { node } of options.targets) {
      if (this.#lanes.has(node)) continue;
      const lane = new NodeLane<ShardBuffer>({ send: (buffer) => this.#send(buffer), onIdle: () => this.#wake?.() });
      this.#lanes.set(node, lane);
    }
  }

  /** The shard's buffer if it has room for a row of so many bytes and lines, at no cost; else ask `makeRoom`. */
  room(ordinal: number, bytes: number, lines: number): ShardBuffer | undefined {
    const buffer = this.#open[ordinal];
    return buffer !== undefined && buffer.fits(bytes, lines) ? buffer : undefined;
  }

  /** A buffer with room; sends the full one. Waits while too much memory is held. Rejects with a node's error. */
  async makeRoom(ordinal: number, bytes: number): Promise<ShardBuffer> {
    this.#dispatch(ordinal);
    const capacity = Math.max(this.#bufferBytes, bytes + envelopeBytes);
    await this.#hold(capacity);
    const buffer = (capacity === this.#bufferBytes ? this.#spare.pop() : undefined) ?? this.#newBuffer(capacity);
    buffer.clear(ordinal);
    this.#open[ordinal] = buffer;
    return buffer;
  }

  /** Gives each idle node its fullest buffer, if there is enough in it. */
  dispatchIdle(): void {
    for (const [node, lane] of this.#lanes) {
      if (!lane.idle) continue;
      const buffer = this.#fullest((ordinal) => at(this.#options.targets, ordinal).node === node);
      if (buffer !== undefined && buffer.length >= eagerBytes) this.#dispatch(buffer.ordinal);
    }
  }

  /** Sends all that is left; resolves to the number of rows that the servers took. */
  async end(): Promise<number> {
    for (const ordinal of this.#open.keys()) this.#dispatch(ordinal);
    await this.#drained();
    if (this.interrupt.failure !== undefined) throw this.interrupt.failure.error;
    return this.#rows;
  }

  /** Stops: COPYs under way are cancelled on their servers. Resolves when no connection is in use any more. */
  async abandon(reason: unknown): Promise<void> {
    this.interrupt.raise(reason);
    for (const lane of this.#lanes.values()) lane.stop();
    this.#abort.abort(reason);
    await this.#drained();
  }

  /** Waits until a buffer of `capacity` may be held, or nothing else is. */
  async #hold(capacity: number): Promise<void> {
    while (!this.#mayHold(capacity)) {
      const spare = this.#spare.pop();
      if (spare !== undefined) {
        this.#heldBytes -= spare.capacity;
        continue;
      }
      if (this.#isIdle()) {
        const fullest = this.#fullest(() => true);
        if (fullest === undefined) return;
        this.#dispatch(fullest.ordinal);
      }
      await this.interrupt.wait(new Promise<void>((resolve) => (this.#wake = resolve)));
    }
  }

  #drained(): Promise<unknown> {
    return Promise.all([...this.#lanes.values()].map((lane) => lane.drained()));
  }

  #dispatch(ordinal: number): void {
    const buffer = this.#open[ordinal];
    if (buffer === undefined) return;
    this.#open[ordinal] = undefined;
    if (buffer.rows === 0) this.#release(buffer);
    else this.#lanes.get(at(this.#options.targets, ordinal).node)?.push(buffer);
  }

  async #send(buffer: ShardBuffer): Promise<void> {
    const target = at(this.#options.targets, buffer.ordinal);
    try {
      if (this.interrupt.failure !== undefined) return;
      const sink = await this.#options.copyIn(target.node, target.sql, { signal: this.#abort.signal });
      await sink.write(buffer.stream());
      // Not `+= await`: that would read the sum before another node adds to it.
      const rows = await sink.end();
      this.#rows += rows;
      this.#options.onRows?.(buffer.ordinal, rows);
    } catch (error) {
      const origin = { shard: target.name, relation: this.#options.relation, lineOf: (line: number) => buffer.lineOf(line), hasAdded: this.#options.hasAdded };
      this.interrupt.raise(this.#options.translateError(tellOrigin(error, origin), buffer.ordinal));
    } finally {
      this.#release(buffer);
    }
  }

  #mayHold(capacity: number): boolean {
    if (capacity === this.#bufferBytes && this.#spare.length > 0) return true;
    return this.#heldBytes + capacity <= this.#options.memoryBytesMax;
  }

  #newBuffer(capacity: number): ShardBuffer {
    this.#heldBytes += capacity;
    return new ShardBuffer(capacity, this.#options.format);
  }

  #release(buffer: ShardBuffer): void {
    if (buffer.capacity === this.#bufferBytes) this.#spare.push(buffer);
    else this.#heldBytes -= buffer.capacity;
    this.#wake?.();
  }

  #isIdle(): boolean {
    return [...this.#lanes.values()].every((lane) => lane.idle);
  }

  #fullest(among: (ordinal: number) => boolean): ShardBuffer | undefined {
    let fullest: ShardBuffer | undefined;
    for (const buffer of this.#open) {
      if (buffer === undefined || !among(buffer.ordinal)) continue;
      if (fullest === undefined || buffer.length > fullest.length) fullest = buffer;
    }
    return fullest;
  }
}

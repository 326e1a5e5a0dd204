import { assert, at, present } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import { lsnText, readLsn } from '../cluster/lsn.ts';
import type { NodeConnection, NodeConnections } from '../cluster/node-connection.ts';
import { definitionSettings } from '../ddl/definition-settings.ts';
import { applyNetChanges } from './apply/apply-net-changes.ts';
import { type ChangeBatch, PendingChanges } from './pending-changes.ts';
import type { StreamMessage } from '../replication/pgoutput/message.ts';
import type { RateLimit } from './rate-limit.ts';
import type { StreamedTable } from './streamed-tables.ts';

export interface SinkTarget {
  readonly node: NodeConnections;
  /** The table that says, in a row for each source, how far the target is: quoted and qualified. */
  readonly position: string;
  /** Whose changes come. */
  readonly source: NodeId;
  readonly tables: readonly StreamedTable[];
  /** Of the changes that are applied. */
  readonly rate: RateLimit;
}

/** What a sink tells its feed. */
export interface SinkEvents {
  /** A message of `pg_logical_emit_message` has come, and all that committed before it is applied. */
  readonly onMarker: (content: string) => void;
  /** Less waits, or more of it is durable, than before. */
  readonly onProgress: () => void;
  readonly onFailure: (error: unknown) => void;
}

export const markerPrefix = 'shardwright';
/** A commit is only then flushed, and the source allowed to forget, when the last one was so long ago, and nobody waits for it. */
const flushEveryMs = 1_000;
/** About so many bytes of changes wait while others are applied; then reading stops. */
const pendingBytesMax = 16 * 1024 * 1024;

/**
 * Applies the changes of one source to the shards on one target node. Each transaction of ours applies whole transactions of the source's, whatever has come meanwhile, and stores in the same
 * commit how far it came: so a sink that is opened again goes on exactly there. Two at once do no harm: the second to commit finds another position than it began with, and fails.
 */
export class ChangeSink {
  /** Rows changed so far. */
  changesApplied = 0;
  /** All before it is applied and on disk, or was not for this node: it will not be asked for again. */
  passed: bigint;
  #position: bigint;
  #durable: bigint;
  #flushedAt = performance.now();
  readonly #pending: PendingChanges;
  #applying: Promise<void> | undefined;
  /** A transaction of the source's was too large to be held, and is applied as it comes. */
  #isOpen = false;
  #isFull = false;
  #isOver = false;
  readonly #ending = new AbortController();
  /** Markers that came, and whose time is when all before them is committed. */
  readonly #arrived: string[] = [];

  private constructor(
    private readonly target: SinkTarget,
    private readonly connection: NodeConnection,
    private readonly events: SinkEvents,
    position: bigint,
  ) {
    this.#position = position;
    this.#durable = position;
    this.passed = position;
    this.#pending = new PendingChanges(target.tables, position);
  }

  /** Goes on where the target is. */
  static async open(target: SinkTarget, events: SinkEvents, signal: AbortSignal): Promise<ChangeSink> {
    const connection = await target.node.acquire({ signal });
    try {
      await connection.query({ text: definitionSettings.replaceAll('SET LOCAL', 'SET'), simple: true }, { signal });
      connection.markDirty();
      const { rows } = await connection.query({ text: `SELECT lsn FROM ${target.position} WHERE source = $1`, values: [target.source] }, { signal });
      return new ChangeSink(target, connection, events, readLsn(present(rows[0]?.[0] ?? undefined, 'position')));
    } catch (error) {
      connection.release({ error });
      throw error;
    }
  }

  /** More waits than may; the feed shall read no more. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Nothing waits, and all that came is durable. */
  get isIdle(): boolean {
    return this.#applying === undefined && this.#pending.isEmpty && this.#durable === this.#position;
  }

  /** Throws for what cannot be applied. */
  take(message: StreamMessage, bytes: number): void {
    this.#pending.take(message, bytes);
    if (this.#pending.bytes > pendingBytesMax) this.#isFull = true;
    this.#applyIfAny();
  }

  /** What is under way is given up: whatever the server is at for us, and what would be sent next, which might wait for a lock that is never given back. */
  interrupt(): void {
    this.#isOver = true;
    this.#ending.abort();
  }

  /** After `interrupt`. What is under way is finished or rolled back. Never throws. */
  async end(): Promise<void> {
    await this.#applying?.catch(() => undefined);
    // One that is in a transaction is closed.
    this.connection.release();
  }

  #applyIfAny(): void {
    if (this.#isOver || this.#applying !== undefined || !(this.#pending.hasCommitted || this.#isFull)) return;
    // In a turn of its own, so that what came in one packet is applied as one.
    this.#applying = new Promise((resolve) => setImmediate(resolve))
      .then(() => this.#applyPending())
      .catch((error: unknown) => {
        if (!this.#isOver) this.events.onFailure(error);
      })
      .finally(() => {
        this.#applying = undefined;
        this.#applyIfAny();
      });
  }

  async #applyPending(): Promise<void> {
    const waiting = this.#pending.bytes;
    const batch = this.#pending.cut(this.#isFull);
    if (this.#isFull) {
      this.#isFull = false;
      this.events.onProgress();
    }
    await this.target.rate.pass(waiting - this.#pending.bytes, this.#ending.signal);
    if (batch.tables.length > 0 || this.#isOpen) await this.#apply(batch);
    else if (this.#durable === this.#position && batch.end !== undefined) this.#pass(batch.end);
    this.#arrived.push(...batch.markers.flatMap(({ prefix, content }) => (prefix === markerPrefix ? [content] : [])));
    if (!this.#isOpen) for (const content of this.#arrived.splice(0)) this.events.onMarker(content);
  }

  async #apply({ tables, end, isCutShort, markers }: ChangeBatch): Promise<void> {
    const { connection } = this;
    const { signal } = this.#ending;
    if (!this.#isOpen) void connection.query({ text: 'BEGIN; SET CONSTRAINTS ALL DEFERRED', simple: true }, { signal }).catch(() => undefined);
    this.#isOpen = true;
    for (const { table, net } of tables) {
      await applyNetChanges(connection, table, net, { signal });
      this.changesApplied += net.removed.length + net.partial.length + net.added.length;
    }
    // The rest of the source's transaction follows in the same one of ours.
    if (isCutShort || end === undefined) return;
    // Whoever waits for a marker may keep writers waiting.
    await this.#commit(end, { flushes: markers.length === 0 && performance.now() - this.#flushedAt > flushEveryMs });
    this.#isOpen = false;
  }

  /** One message. Where another process has moved the position, NULL fails, and with it the transaction. */
  async #commit(end: bigint, { flushes }: { readonly flushes: boolean }): Promise<void> {
    const { position, source } = this.target;
    const results = await this.connection.batch([
      { text: `SET LOCAL synchronous_commit = ${flushes ? 'on' : 'off'}` },
      { text: `UPDATE ${position} SET lsn = CASE WHEN lsn = $1 THEN $2::pg_lsn END WHERE source = $3`, values: [lsnText(this.#position), lsnText(end), source] },
      { text: 'COMMIT' },
    ], { signal: this.#ending.signal });
    assert(at(results, 2).command === 'COMMIT', 'changes were rolled back without an error');
    this.#position = end;
    if (!flushes) return;
    this.#flushedAt = performance.now();
    this.#durable = end;
    this.#pass(end);
  }

  #pass(end: bigint): void {
    this.passed = end;
    this.events.onProgress();
  }
}

import { randomBytes } from 'node:crypto';
import { assert, at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { NodeConnection, NodeConnections } from '../cluster/node-connection.ts';
import { lsnText, readLsn } from '../cluster/lsn.ts';
import type { ReplicationConnection } from '../cluster/replication-connection.ts';
import { definitionSettings } from '../ddl/definition-settings.ts';
import { applyNetChanges } from './apply/apply-net-changes.ts';
import { type ChangeBatch, PendingChanges } from './pending-changes.ts';
import type { StreamedTable } from './streamed-tables.ts';
import { decodeMessage } from './pgoutput/decode-message.ts';

export interface FeedSource {
  readonly source: NodeConnections;
  readonly target: NodeConnections;
  readonly slot: string;
  readonly publication: string;
  /** The table with the one row that says how far the target is: quoted and qualified. */
  readonly position: string;
  readonly tables: readonly StreamedTable[];
}

/** A commit is only then flushed, and the source allowed to forget, when the last one was so long ago. */
const flushEveryMs = 1_000;
/** About so many bytes of changes wait while others are applied; then reading stops. */
const pendingBytesMax = 16 * 1024 * 1024;

/**
 * Applies the changes of a slot to the target, in the order in which their transactions committed. Each transaction of ours applies whole transactions of the source's, whatever has come
 * meanwhile, and stores in the same commit how far it came: so a feed that is started again goes on exactly there. Two feeds at once do no harm: the second
 * to commit finds another position than it began with, and fails.
 */
export class ChangeFeed {
  /** Rows changed so far by this feed. */
  changesApplied = 0;
  #position: bigint;
  #durable: bigint;
  #flushedAt = performance.now();
  #pending: PendingChanges;
  #applying: Promise<void> | undefined;
  /** A transaction of the source's was too large to be held, and is applied as it comes. */
  #isOpen = false;
  #paused = false;
  #failure: { readonly error: unknown } | undefined;
  readonly #markers = new Map<string, { readonly resolve: () => void; readonly reject: (error: unknown) => void }>();
  /** Markers that came, and whose time is when all before them is committed. */
  readonly #arrived: string[] = [];
  readonly #token = randomBytes(6).toString('hex');
  #markersSent = 0;

  private constructor(
    private readonly from: FeedSource,
    private readonly stream: ReplicationConnection,
    private readonly connection: NodeConnection,
    position: bigint,
  ) {
    this.#position = position;
    this.#durable = position;
    this.#pending = new PendingChanges(from.tables);
  }

  /** Goes on where the target is. */
  static async start(from: FeedSource, signal: AbortSignal): Promise<ChangeFeed> {
    const connection = await from.target.acquire({ signal });
    let stream: ReplicationConnection | undefined;
    try {
      await connection.query({ text: definitionSettings.replaceAll('SET LOCAL', 'SET'), simple: true }, { signal });
      connection.markDirty();
      const { rows } = await connection.query({ text: `SELECT lsn FROM ${from.position}` }, { signal });
      const position = readLsn(present(rows[0]?.[0] ?? undefined, 'position'));
      stream = await from.source.replicate({ signal });
      const feed = new ChangeFeed(from, stream, connection, position);
      await stream.stream({ slot: from.slot, publication: from.publication, from: position }, {
        onMessage: (bytes) => feed.#receive(bytes),
        onKeepAlive: (lsn) => feed.#keptAlive(lsn),
        onLost: (error) => feed.#fail(error),
      });
      return feed;
    } catch (error) {
      await stream?.end();
      connection.release({ error });
      throw error;
    }
  }

  /** Undefined while all is well. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /**
   * Resolves when all is applied that has committed on the source before the call. A message of ours in the source's log tells: it is a transaction like any other, and its
   * commit flushes the log, which the stream waits for. Resolves to the milliseconds it took.
   */
  async drain(connection: Pick<NodeConnections, 'query'> = this.from.source): Promise<number> {
    const started = performance.now();
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#markersSent += 1;
    const content = `${this.#token} ${this.#markersSent}`;
    const arrived = new Promise<void>((resolve, reject) => this.#markers.set(content, { resolve, reject }));
    arrived.catch(() => undefined);
    try {
      await connection.query({ text: 'SELECT pg_catalog.pg_logical_emit_message(true, $1, $2)', values: [markerPrefix, content] });
      await arrived;
    } finally {
      this.#markers.delete(content);
    }
    return performance.now() - started;
  }

  /** Stops applying; what is under way is finished or rolled back. Never throws. */
  async end(): Promise<void> {
    this.#fail(new ClusterError('canceled', 'the move has stopped'));
    await this.stream.end();
    await this.#applying?.catch(() => undefined);
    // One that is in a transaction is closed.
    this.connection.release();
  }

  #receive(bytes: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      this.#pending.take(decodeMessage(bytes), bytes.length);
      if (this.#pending.bytes > pendingBytesMax && !this.#paused) {
        this.#paused = true;
        this.stream.pause();
      }
      this.#applyIfAny();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** All that has committed before has come, so nothing before it will be asked for again, if nothing waits. */
  #keptAlive(lsn: bigint): void {
    if (this.#applying === undefined && this.#pending.isEmpty && this.#durable === this.#position) this.stream.confirm(lsn);
  }

  #applyIfAny(): void {
    if (this.#applying !== undefined || !(this.#pending.hasCommitted || this.#paused)) return;
    // In a turn of its own, so that what came in one packet is applied as one.
    this.#applying = new Promise((resolve) => setImmediate(resolve))
      .then(() => this.#applyPending())
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#applying = undefined;
        if (this.#failure === undefined) this.#applyIfAny();
      });
  }

  async #applyPending(): Promise<void> {
    const batch = this.#pending.cut(this.#paused);
    if (this.#paused) {
      this.#paused = false;
      this.stream.resume();
    }
    if (batch.tables.length > 0 || this.#isOpen) await this.#apply(batch);
    else if (this.#durable === this.#position && batch.end !== undefined) this.stream.confirm(batch.end);
    this.#arrived.push(...batch.markers.flatMap(({ prefix, content }) => (prefix === markerPrefix ? [content] : [])));
    if (!this.#isOpen) for (const content of this.#arrived.splice(0)) this.#markers.get(content)?.resolve();
  }

  async #apply({ tables, end, isCutShort }: ChangeBatch): Promise<void> {
    const { connection } = this;
    if (!this.#isOpen) void connection.query({ text: 'BEGIN; SET CONSTRAINTS ALL DEFERRED', simple: true }).catch(() => undefined);
    this.#isOpen = true;
    for (const { table, net } of tables) {
      await applyNetChanges(connection, table, net, {});
      this.changesApplied += net.removed.length + net.partial.length + net.added.length;
    }
    // The rest of the source's transaction follows in the same one of ours.
    if (isCutShort || end === undefined) return;
    await this.#commit(end);
    this.#isOpen = false;
  }

  /** One message. Where another process has moved the position, NULL fails, and with it the transaction. */
  async #commit(end: bigint): Promise<void> {
    const flushes = performance.now() - this.#flushedAt > flushEveryMs;
    const results = await this.connection.batch([
      { text: `SET LOCAL synchronous_commit = ${flushes ? 'on' : 'off'}` },
      { text: `UPDATE ${this.from.position} SET lsn = CASE WHEN lsn = $1 THEN $2::pg_lsn END`, values: [lsnText(this.#position), lsnText(end)] },
      { text: 'COMMIT' },
    ]);
    assert(at(results, 2).command === 'COMMIT', 'changes were rolled back without an error');
    this.#position = end;
    if (!flushes) return;
    this.#flushedAt = performance.now();
    this.#durable = end;
    this.stream.confirm(end);
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    for (const { reject } of this.#markers.values()) reject(error);
    if (this.#applying === undefined) return;
    // Whatever the server is at for us is not wanted any more.
    this.connection.interrupt(error instanceof Error ? error : new Error(String(error)));
  }
}

const markerPrefix = 'shardwright';

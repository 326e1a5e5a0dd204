import { allOrAbort } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import { readLsn } from '../cluster/lsn.ts';
import type { RelationMessage } from '../replication/pgoutput/message.ts';
import { judgeSlot, readSlot } from '../replication/watch-slots.ts';
import { changeFeedState, type FeedCut, type FeedNode, type FeedShard, readFeed, readFeedCuts, readFeedShards, type StoredFeed, storeFeedProgress } from '../store/feeds.ts';
import type { Change } from './change.ts';
import { type ColumnTypes, readColumnTypes } from './column-types.ts';
import { loseFeed } from './drop-feed.ts';
import type { FedTable, FeedServices, FeedTypes } from './feed-context.ts';
import { comparePositions, cursorText, type FeedPosition, positionText, readCursor } from './feed-cursor.ts';
import { readerKey, unlock } from './feed-locks.ts';
import { feedNames } from './feed-names.ts';
import { lostFeed, lostHint } from './lost-feed.ts';
import { logicalChange, type RelationReader, relationReader } from './logical-change.ts';
import { type MergedChange, StreamMerge } from './merge-streams.ts';
import { NodeReader } from './node-reader.ts';
import type { OpenedFeed } from './open-feed.ts';
import { readSnapshot, type SnapshotReader } from './read-snapshot.ts';

export interface ConsumerOptions {
  readonly tables: readonly FedTable[];
  readonly types: FeedTypes;
  /** Of changes that wait, on each node. */
  readonly waitingBytesMax: number;
  /** How long a server may be away. */
  readonly patienceMs: number;
}

/** How often is stored what was confirmed, and looked after slots and nodes. */
const tickMs = 1_000;

/** A feed while its reader reads it. One call of `next` at a time. */
export class FeedConsumer {
  readonly #merge: StreamMerge;
  readonly #readers = new Map<NodeId, NodeReader>();
  /** How far the changes are that were given. */
  readonly #given = new Map<NodeId, FeedPosition>();
  /** The same as parts of cursors. */
  readonly #parts = new Map<NodeId, string>();
  #confirmed: Map<NodeId, FeedPosition>;
  #isConfirmedStored = true;
  /** The snapshot has been given whole, and confirmed. */
  #isPastSnapshot: boolean;
  /** Cut-overs that streams have come by and that are not stored, each with where it stands in the log. */
  #cuts: (FeedCut & { readonly commit: bigint })[] = [];
  #shards: ReadonlyMap<ShardId, FeedShard> = new Map();
  #columns: ReadonlyMap<number, ColumnTypes> = new Map();
  readonly #tables: ReadonlyMap<number, FedTable>;
  readonly #relations = new WeakMap<RelationMessage, RelationReader>();
  readonly #snapshot: AsyncGenerator<Change> | undefined;
  /** Of the snapshot: connections to be given back. */
  readonly #unread: Set<SnapshotReader>;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> = Promise.resolve();
  readonly #ending = new AbortController();

  private constructor(
    private readonly services: FeedServices,
    private readonly opened: OpenedFeed,
    private readonly options: ConsumerOptions,
  ) {
    const { id, state, confirmed = `${id}:` } = opened.feed;
    this.#merge = new StreamMerge(id, (cut) => this.#cuts.push(cut));
    this.#confirmed = furthest(readCursor(confirmed, id), readCursor(opened.from, id));
    this.#isConfirmedStored = opened.from === opened.feed.confirmed;
    this.#unread = new Set(opened.readers);
    this.#isPastSnapshot = state !== 'snapshot';
    this.#tables = new Map(options.tables.map((table) => [table.oid, table]));
    if (state === 'snapshot') this.#snapshot = this.#readSnapshot();
  }

  /** Takes the opened feed over, also when it fails. */
  static async start(services: FeedServices, opened: OpenedFeed, options: ConsumerOptions): Promise<FeedConsumer> {
    const consumer = new FeedConsumer(services, opened, options);
    try {
      await consumer.#start();
      return consumer;
    } catch (error) {
      await consumer.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { opened: { feed, claim, from } } = this;
    await this.#learn();
    for (const { job, node } of await readFeedCuts(claim, feed.id)) this.#merge.note(job, node);
    await this.#addNodes(feed.nodes, readCursor(from, feed.id));
    this.#scheduleTick();
  }

  /** Undefined when the feed was closed. */
  async next(): Promise<Change | undefined> {
    const row = await this.#snapshot?.next();
    if (row?.done === false) return row.value;
    for (;;) {
      // Before anything is looked at, so that nothing comes unnoticed.
      const arrived = new Promise<void>((resolve) => (this.#wake = resolve));
      await this.#throwIfFailed();
      if (this.#ending.signal.aborted) return undefined;
      const merged = this.#merge.next();
      if (merged !== undefined) return this.#give(merged);
      await arrived;
    }
  }

  /** All up to this cursor is with the receiver for good. One before what was confirmed changes nothing. `invalidParameter` for what was not given yet. */
  confirm(cursor: string): void {
    const positions = readCursor(cursor, this.opened.feed.id);
    for (const [node, position] of positions) {
      const given = this.#given.get(node);
      if (given !== undefined && comparePositions(position, given) > 0) throw new ClusterError('invalidParameter', 'what was not given yet cannot be confirmed', { detail: `The cursor is ahead on node ${node}.` });
    }
    for (const [node, position] of positions) {
      const known = this.#confirmed.get(node);
      if (!this.#given.has(node) || (known !== undefined && comparePositions(position, known) <= 0)) continue;
      this.#confirmed.set(node, position);
      this.#isConfirmedStored = false;
    }
    if (this.#isPastSnapshot || this.#isReadingSnapshot) return;
    this.#isPastSnapshot = true;
    this.#isConfirmedStored = false;
  }

  /** Stores what was confirmed, as far as the servers answer, and gives everything back. Never throws; may be called again. */
  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return this.#ticking;
    this.#ending.abort();
    clearTimeout(this.#timer);
    this.#wake();
    this.#ticking = this.#ticking.then(() => this.#close());
    return this.#ticking;
  }

  async #close(): Promise<void> {
    const { claim, feed } = this.opened;
    await this.#store().catch(() => undefined);
    await Promise.all([...this.#readers.values()].map((reader) => reader.end()));
    await this.#snapshot?.return(undefined).catch(() => undefined);
    for (const { connection } of this.#unread) connection.release({ error: this.#ending.signal.reason });
    await unlock(claim, readerKey(this.services.clusterId, feed.name));
    claim.release(this.#failure);
  }

  get #isReadingSnapshot(): boolean {
    return this.#snapshot !== undefined && !this.#isSnapshotGiven;
  }

  #isSnapshotGiven = false;

  async *#readSnapshot(): AsyncGenerator<Change> {
    const { feed, readers } = this.opened;
    yield { kind: 'snapshot_begin', id: `${feed.id}/begin`, cursor: undefined };
    const known = { tables: this.#tables, columns: this.#columns, types: this.options.types };
    for (const reader of readers) {
      yield* readSnapshot(reader, known, { signal: this.#ending.signal });
      this.#unread.delete(reader);
      reader.connection.release();
    }
    this.#isSnapshotGiven = true;
    yield { kind: 'snapshot_end', id: `${feed.id}/end`, cursor: this.#cursor() };
  }

  async #give(merged: MergedChange): Promise<Change> {
    const { node, item: { relation } } = merged;
    const position = { ...merged.position, timeline: this.#readers.get(node)?.timeline };
    // Before anything is waited for: a slot must not go beyond what is on its way to the receiver.
    this.#given.set(node, position);
    this.#parts.set(node, `${node}${positionText(position)}`);
    const reader = this.#relations.get(relation) ?? (await this.#readerOf(relation));
    return logicalChange(merged, reader, this.#cursor());
  }

  #cursor(): string {
    return `${this.opened.feed.id}:${[...this.#parts.values()].join(',')}`;
  }

  /** A shard that nobody knows has come since. */
  async #readerOf(relation: RelationMessage): Promise<RelationReader> {
    const known = (): RelationReader | undefined => relationReader(relation, { tables: this.#tables, shards: this.#shards, columns: this.#columns, types: this.options.types });
    // A column may have come, too, and its type is asked for once.
    await this.#learn();
    const reader = present(known(), `shard "${relation.name}" of change feed ${this.opened.feed.id}`);
    this.#relations.set(relation, reader);
    return reader;
  }

  async #learn(): Promise<void> {
    const { claim, feed } = this.opened;
    this.#shards = await readFeedShards(claim, feed.id);
    this.#columns = await readColumnTypes(claim, feed.tables);
  }

  async #addNodes(nodes: readonly FeedNode[], from: ReadonlyMap<NodeId, FeedPosition>): Promise<void> {
    const added = nodes.filter(({ node, start }) => start !== undefined && !this.#readers.has(node));
    const slots = await allOrAbort(this.#ending.signal, added.map(({ node }) => (signal) => this.#slotOf(node, signal)));
    for (const [i, { node, start = 0n }] of added.entries()) {
      const position = from.get(node) ?? this.#confirmed.get(node) ?? { lsn: start, done: 0 };
      this.#given.set(node, position);
      this.#parts.set(node, `${node}${positionText(position)}`);
      if (!this.#confirmed.has(node)) this.#confirmed.set(node, { lsn: start, done: 0 });
      const { slot, publication } = feedNames(this.services.clusterId, this.opened.feed.id);
      const reader = new NodeReader(
        { node: this.services.pools.get(node), slot: slot(node), publication, from: position, confirmed: present(slots[i]) },
        { onArrival: () => this.#wake(), waitingBytesMax: this.options.waitingBytesMax, patienceMs: this.options.patienceMs },
      );
      this.#readers.set(node, reader);
      this.#merge.add(reader);
    }
  }

  /** Where it is. `feedLost` when it is gone. */
  async #slotOf(node: NodeId, signal: AbortSignal): Promise<bigint> {
    const { clusterId, pools } = this.services;
    const { rows } = await pools.get(node).query({ text: 'SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1', values: [feedNames(clusterId, this.opened.feed.id).slot(node)] }, { signal });
    const lsn = rows[0]?.[0];
    if (typeof lsn === 'string') return readLsn(lsn);
    throw await this.#lost(new ClusterError('feedLost', `the replication slot on node ${pools.get(node).name} is gone`, { detail: 'Somebody dropped it, or a server was promoted that did not have it.', hint: lostHint }));
  }

  /** The feed is marked as lost, so that its other slots keep nothing any more. */
  async #lost(reason: ClusterError): Promise<ClusterError> {
    await loseFeed(this.services, this.opened.claim, this.opened.feed.id, reason.message).catch(() => undefined);
    return reason;
  }

  async #throwIfFailed(): Promise<void> {
    for (const [node, { failure }] of this.#readers) if (failure !== undefined && this.#failure === undefined) await this.#explain(node, failure.error);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #scheduleTick(): void {
    this.#timer = setTimeout(() => {
      this.#ticking = this.#tick()
        .catch((error: unknown) => {
          this.#failure ??= { error };
          this.#wake();
        })
        .finally(() => {
          if (!this.#ending.signal.aborted && this.#failure === undefined) this.#scheduleTick();
        });
    }, tickMs);
  }

  async #tick(): Promise<void> {
    await this.#store();
    const feed = await this.#readFeed();
    await this.#followNodes(feed);
    await this.#guard(feed);
  }

  /** `unknownFeed`, `feedLost`. */
  async #readFeed(): Promise<StoredFeed> {
    const { claim, feed: { id, name } } = this.opened;
    const feed = await readFeed(claim, id);
    if (feed === undefined || feed.state === 'dropping') throw new ClusterError('unknownFeed', `change feed "${name}" was dropped`);
    if (feed.state === 'lost') throw lostFeed(feed);
    return feed;
  }

  /** A node that was added has a slot since a shard came there; one that was removed has been read to its end. */
  async #followNodes(feed: StoredFeed): Promise<void> {
    for (const [node, reader] of this.#readers) {
      if (isReadOn(feed, node)) continue;
      this.#readers.delete(node);
      this.#merge.remove(node);
      this.#given.delete(node);
      this.#parts.delete(node);
      this.#confirmed.delete(node);
      await reader.end();
    }
    if (feed.nodes.some(({ node, start }) => start !== undefined && !this.#readers.has(node))) {
      await this.services.refreshCatalog();
      await this.#addNodes(feed.nodes, new Map());
    }
  }

  async #guard({ maxRetainedBytes, name }: StoredFeed): Promise<void> {
    const { slot } = feedNames(this.services.clusterId, this.opened.feed.id);
    const found = await Promise.all([...this.#readers.keys()].map((node) => (async () => readSlot({ node: this.services.pools.get(node), name: slot(node) }))().catch(() => undefined)));
    for (const state of found) {
      const trouble = state === undefined ? undefined : judgeSlot(state, { maxRetainedBytes, isMade: true, owner: feedOwner(name) });
      if (trouble !== undefined) throw await this.#lost(trouble);
    }
  }

  /** A node that cannot be read any more has been removed, the feed is over, or its slot is gone. */
  async #explain(failed: NodeId, error: unknown): Promise<void> {
    try {
      const feed = await this.#readFeed();
      if (!isReadOn(feed, failed)) return await this.#followNodes(feed);
      const isLost = error instanceof ClusterError && error.id === 'feedLost';
      if (isLost) return void (this.#failure = { error: await this.#lost(error) });
      const isGone = sqlStateOf(error) === '42704';
      this.#failure = { error: isGone ? await this.#lost(new ClusterError('feedLost', 'the replication slot on a node is gone', { hint: lostHint, cause: error })) : error };
    } catch (reason) {
      this.#failure = { error: reason };
    }
  }

  /**
   * First it is stored how far the receiver is, and which cut-overs lie before the new places of slots; then the slots are moved. On a node where all that came is confirmed, or nothing was for this feed, the slot goes as far as
   * the server has sent.
   */
  async #store(): Promise<void> {
    const { claim, feed: { id } } = this.opened;
    if (!this.#isPastSnapshot) return;
    const places = new Map([...this.#readers.keys()].map((node) => [node, this.#placeOf(node)]));
    const passed = (cut: { readonly node: NodeId; readonly commit: bigint }): boolean => cut.commit < (places.get(cut.node) ?? 0n);
    const cuts = this.#cuts.filter(passed);
    if (!this.#isConfirmedStored || cuts.length > 0) {
      const confirmed = new Map(this.#confirmed);
      this.#isConfirmedStored = true;
      try {
        await changeFeedState(claim, id, { from: ['snapshot'], to: 'streaming' });
        await storeFeedProgress(claim, id, { confirmed: cursorText(id, confirmed), cuts });
      } catch (error) {
        this.#isConfirmedStored = false;
        throw error;
      }
      this.#cuts = this.#cuts.filter((cut) => !cuts.includes(cut));
    }
    for (const [node, lsn] of places) this.#readers.get(node)?.confirm(lsn);
  }

  #placeOf(node: NodeId): bigint {
    const confirmed = present(this.#confirmed.get(node), 'confirmed position');
    const passed = this.#readers.get(node)?.passed;
    const isEven = comparePositions(confirmed, present(this.#given.get(node), 'given position')) >= 0;
    return passed !== undefined && isEven && !this.#merge.isBusy(node) && passed > confirmed.lsn ? passed : confirmed.lsn;
  }
}

/** Whether the feed has a slot there: one that is about to be dropped has no beginning any more. */
function isReadOn({ nodes }: StoredFeed, node: NodeId): boolean {
  return nodes.some((one) => one.node === node && one.start !== undefined);
}

/** Of each node the position that is further. */
function furthest(one: ReadonlyMap<NodeId, FeedPosition>, other: ReadonlyMap<NodeId, FeedPosition>): Map<NodeId, FeedPosition> {
  const result = new Map(one);
  for (const [node, position] of other) {
    const known = result.get(node);
    if (known === undefined || comparePositions(position, known) > 0) result.set(node, position);
  }
  return result;
}

/** For the errors of its slots. */
export function feedOwner(name: string): { readonly error: 'feedLost'; readonly name: string; readonly remedy: string } {
  return { error: 'feedLost', name: `change feed "${name}"`, remedy: 'dropFeed() it, and begin it again with a snapshot' };
}

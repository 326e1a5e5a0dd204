import { ClusterError } from '../base/errors.ts';
import { pauseAbout } from '../base/pause.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { readLsn } from '../cluster/lsn.ts';
import type { CallOptions, NodeConnection, NodeConnections } from '../cluster/node-connection.ts';
import { withConnection } from '../cluster/with-connection.ts';
import { judgeSlot, readSlot } from '../replication/watch-slots.ts';
import { findFeed, type FeedState, listFeeds, type StoredFeed } from '../store/feeds.ts';
import { dropFeed, loseFeed } from './drop-feed.ts';
import { feedOwner } from './feed-consumer.ts';
import type { FeedServices } from './feed-context.ts';
import { feedsKey, lock, readerKey, tryLock, unlock } from './feed-locks.ts';
import { feedNames } from './feed-names.ts';
import { dropFromNode } from './feed-slots.ts';

/** A node's slot of a feed. */
export interface FeedSlotInfo {
  readonly nodeId: number;
  readonly slot: string;
  /** Whether a process reads it now; undefined, as the next, when the node does not answer. */
  readonly active: boolean | undefined;
  /** How much of its log the server keeps for it; null when the slot is not there. */
  readonly retainedBytes: number | null | undefined;
}

/** A change feed, as `cluster.feeds()` lists it. */
export interface FeedInfo {
  readonly name: string;
  readonly state: FeedState;
  readonly tables: readonly { readonly schema: string; readonly name: string }[];
  readonly slots: readonly FeedSlotInfo[];
  readonly maxRetainedBytes: number;
  /** What its reader confirmed last. */
  readonly cursor: string | undefined;
  /** Why it was lost. */
  readonly error: string | undefined;
  readonly createdAt: Date;
}

/** The change feeds of a cluster. */
export class Feeds {
  constructor(private readonly services: FeedServices) {}

  async list({ tables }: Pick<CatalogSnapshot, 'tables'>, options?: CallOptions): Promise<FeedInfo[]> {
    const all = [...tables.values()];
    const named = (feed: StoredFeed): FeedInfo['tables'] => all.filter(({ oid }) => feed.tables.includes(oid)).map(({ schema, name }) => ({ schema, name }));
    return Promise.all((await listFeeds(this.#coordinator, options)).map((feed) => this.#info(feed, named(feed))));
  }

  async #info(feed: StoredFeed, tables: FeedInfo['tables']): Promise<FeedInfo> {
    const { name, state, maxRetainedBytes, confirmed, error, createdAt } = feed;
    const slots = await Promise.all(feed.nodes.map(async ({ node }): Promise<FeedSlotInfo> => {
      const slot = this.#slot(feed, node);
      const found = await this.#asked(node, (server) => readSlot({ node: server, name: slot }));
      return { nodeId: node, slot, active: found?.active, retainedBytes: found === undefined ? undefined : found.status === null ? null : found.retainedBytes };
    }));
    return { name, state, tables, slots, maxRetainedBytes, cursor: confirmed, error, createdAt };
  }

  /** Removes the feed and all that it has on nodes; who reads it fails with `unknownFeed`. `unknownFeed`; when a node is away the rest is removed, and this one's part when it is back. */
  async drop(name: string, options: CallOptions = {}): Promise<void> {
    await listFeeds(this.#coordinator, options);
    await this.#alone(options, async (connection) => {
      const feed = await findFeed(connection, name, options);
      if (feed === undefined) throw new ClusterError('unknownFeed', `there is no change feed "${name}"`, { hint: 'cluster.feeds() lists them.' });
      await dropFeed(this.services, connection, feed.id);
    });
  }

  /** Before a node is removed: its slots go, when they have given all. `nodeInUse` when one has not, in some seconds. */
  async leaveNode(node: NodeId, options: CallOptions = {}): Promise<void> {
    const isOn = (feed: StoredFeed): boolean => feed.nodes.some((one) => one.node === node);
    if (!(await listFeeds(this.#coordinator, options)).some(isOn)) return;
    await this.#alone(options, async (connection) => {
      const { rows } = await connection.query({ text: 'SELECT count(*) FROM shardwright.shard_group WHERE node_id = $1', values: [node] }, options);
      // Then it cannot be removed, and is told why.
      if (Number(rows[0]?.[0]) > 0) return;
      const feeds = (await listFeeds(this.#coordinator, options)).filter(isOn);
      for (const feed of feeds) await this.#untilRead(feed, node, options);
      for (const { id } of feeds) await dropFromNode(this.services, { feed: id, node }, options.signal);
    });
  }

  async #untilRead(feed: StoredFeed, node: NodeId, { signal }: CallOptions): Promise<void> {
    if (feed.state !== 'streaming' && feed.state !== 'snapshot') return;
    const server = this.services.pools.get(node);
    const inUse = (detail: string, hint: string): ClusterError => new ClusterError('nodeInUse', `change feed "${feed.name}" reads node ${server.name}`, { detail, hint });
    if (feed.referenceNode === node) throw inUse('Changes of reference tables come from there.', 'Drop the feed, and begin it again with a snapshot when the node is removed.');
    const last = readLsn((await server.query({ text: 'SELECT pg_catalog.pg_current_wal_insert_lsn()' }, { signal })).rows[0]?.[0] ?? '');
    for (const deadline = performance.now() + readToEndMs; ;) {
      const { rows } = await server.query({ text: 'SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1', values: [this.#slot(feed, node)] }, { signal });
      if (readLsn(rows[0]?.[0] ?? '') >= last) return;
      if (performance.now() > deadline) throw inUse('It has not confirmed all that has changed there.', 'Let its reader run and confirm, or drop the feed.');
      await pauseAbout(readToEndPollMs, signal);
    }
  }

  /** Looks after feeds that nobody reads: one that keeps too much is lost, one that was being made or dropped by a process that is gone is dropped. A node that is away is left to the next time. */
  async lookAfterAll(): Promise<void> {
    const { rows } = await this.#coordinator.query({ text: `SELECT pg_catalog.to_regclass('shardwright.feed') IS NOT NULL` });
    if (rows[0]?.[0] !== 't') return;
    for (const feed of await listFeeds(this.#coordinator)) await this.#lookAfter(feed).catch(() => undefined);
  }

  async #lookAfter(feed: StoredFeed): Promise<void> {
    if (feed.state === 'snapshot' || feed.state === 'streaming') return this.#guard(feed);
    await withConnection(this.#coordinator, new AbortController().signal, async (connection) => {
      if (!(await tryLock(connection, feedsKey(this.services.clusterId)))) return;
      try {
        if (!(await tryLock(connection, readerKey(this.services.clusterId, feed.name)))) return;
        try {
          const now = await findFeed(connection, feed.name);
          if (now?.id !== feed.id) return;
          // What was lost stays, to say why; some of it may be left on nodes.
          if (now.state === 'lost') for (const { node } of now.nodes) await dropFromNode(this.services, { feed: now.id, node });
          else if (now.state !== 'streaming' && now.state !== 'snapshot') await dropFeed(this.services, connection, now.id);
        } finally {
          await unlock(connection, readerKey(this.services.clusterId, feed.name));
        }
      } finally {
        await unlock(connection, feedsKey(this.services.clusterId));
      }
    });
  }

  async #guard(feed: StoredFeed): Promise<void> {
    for (const { node, start } of feed.nodes) {
      const found = await this.#asked(node, (server) => readSlot({ node: server, name: this.#slot(feed, node) }));
      const trouble = found === undefined ? undefined : judgeSlot(found, { maxRetainedBytes: feed.maxRetainedBytes, isMade: start !== undefined, owner: feedOwner(feed.name) });
      if (trouble === undefined) continue;
      // Looked at before it was made or dropped, it would seem to be gone.
      await this.#alone({}, async (connection) => {
        const now = await findFeed(connection, feed.name);
        if (now?.id === feed.id && now.nodes.some((one) => one.node === node)) await loseFeed(this.services, connection, feed.id, trouble.message);
      });
      return;
    }
  }

  /** While no slot of any feed is made or removed, and no cut-over commits. */
  #alone(options: CallOptions, work: (connection: NodeConnection) => Promise<void>): Promise<void> {
    return withConnection(this.#coordinator, options.signal ?? new AbortController().signal, async (connection) => {
      await lock(connection, feedsKey(this.services.clusterId), options);
      try {
        await work(connection);
      } finally {
        await unlock(connection, feedsKey(this.services.clusterId));
      }
    });
  }

  /** Undefined when the node does not answer, or is not there any more. */
  async #asked<T>(node: NodeId, ask: (server: NodeConnections) => Promise<T>): Promise<T | undefined> {
    try {
      return await ask(this.services.pools.get(node));
    } catch {
      return undefined;
    }
  }

  #slot({ id }: Pick<StoredFeed, 'id'>, node: NodeId): string {
    return feedNames(this.services.clusterId, id).slot(node);
  }

  get #coordinator(): NodeConnections {
    return this.services.pools.get(coordinatorNodeId);
  }
}

/** How long a reader may take for the last changes of a node that goes. */
const readToEndMs = 15_000;
const readToEndPollMs = 100;

import { allOrAbort } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { readReplicaIdentity } from '../replication/replica-identity.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { changeFeedState, insertFeed, readFeed, type StoredFeed, storeFeedStart } from '../store/feeds.ts';
import { dropFeed } from './drop-feed.ts';
import type { FedTable, FeedServices } from './feed-context.ts';
import { cursorText } from './feed-cursor.ts';
import { feedsKey, lock, unlock } from './feed-locks.ts';
import { makePublication, makeSlot, type PlacedShard, readPlacedShards, shardsReadOn } from './feed-slots.ts';
import { type SnapshotReader, takeOverSnapshot } from './read-snapshot.ts';

export interface FeedWish {
  readonly name: string;
  readonly tables: readonly FedTable[];
  readonly maxRetainedBytes: number;
  /** Whether the rows that are there come first. */
  readonly snapshot: boolean;
}

export interface MadeFeed {
  readonly feed: StoredFeed;
  /** In order of node; none when no snapshot was wished for. */
  readonly readers: readonly SnapshotReader[];
}

/**
 * Makes a feed, with a slot on every node, in the session that holds its reader's lock:
 * 1. the lock of all feeds: no cut-over can commit between two slots, so each will be in the streams of all its nodes, or of none;
 * 2. all is written down;
 * 3. publications, then slots, side by side; for a snapshot a transaction on each node takes over the slot's;
 * 4. where the slots begin is written down, and with it that the feed is there.
 * When it fails, what was made is removed, at once where servers answer. Errors: `unsupportedTable`, `notDistributed`, what servers throw.
 */
export async function createFeed(services: FeedServices, claim: NodeConnection, wish: FeedWish, signal: AbortSignal): Promise<MadeFeed> {
  await checkIdentities(claim, wish.tables, signal);
  await lock(claim, feedsKey(services.clusterId), { signal });
  try {
    await services.refreshCatalog();
    const nodes = services.pools.nodeIds.filter((node) => node !== coordinatorNodeId);
    const referenceNode = wish.tables.some(({ isReference }) => isReference) ? nodes[0] : undefined;
    const tables = wish.tables.map(({ oid }) => oid);
    const id = await insertFeed(claim, { ...wish, tables, nodes, referenceNode }, { signal });
    try {
      const shards = await readPlacedShards(claim, tables, { signal });
      return await makeAll(services, claim, { id, nodes, shardsOn: (node) => shardsReadOn(node, shards, { referenceNode }), snapshot: wish.snapshot, signal });
    } catch (error) {
      await dropFeed(services, claim, id).catch(() => undefined);
      throw error;
    }
  } finally {
    await unlock(claim, feedsKey(services.clusterId));
  }
}

interface Making {
  readonly id: string;
  readonly nodes: readonly NodeId[];
  readonly shardsOn: (node: NodeId) => readonly PlacedShard[];
  readonly snapshot: boolean;
  readonly signal: AbortSignal;
}

async function makeAll(services: FeedServices, claim: NodeConnection, { id, nodes, shardsOn, snapshot, signal: outer }: Making): Promise<MadeFeed> {
  const readers: SnapshotReader[] = [];
  try {
    const starts = await allOrAbort(outer, nodes.map((node) => async (signal) => {
      await makePublication(services, { feed: id, node }, shardsOn(node), signal);
      const { consistentPoint: start, snapshot: exported, holding } = await makeSlot(services, { feed: id, node }, signal);
      try {
        if (snapshot) {
          const connection = await services.pools.get(node).acquire({ signal });
          readers.push({ node, connection, shards: shardsOn(node), start });
          await takeOverSnapshot(connection, { snapshot: exported, shards: shardsOn(node) }, { signal });
        }
      } finally {
        await holding.end();
      }
      return [node, start] as const;
    }));
    for (const [node, start] of starts) await storeFeedStart(claim, id, { node, start });
    const confirmed = cursorText(id, new Map(starts.map(([node, lsn]) => [node, { lsn, done: 0 }])));
    await changeFeedState(claim, id, { from: ['creating'], to: snapshot ? 'snapshot' : 'streaming', confirmed });
    return { feed: present(await readFeed(claim, id), 'feed'), readers: readers.toSorted((a, b) => a.node - b.node) };
  } catch (error) {
    for (const { connection } of readers) connection.release({ error });
    throw error;
  }
}

/** The log must tell rows apart, and shards are as their shell says; so the shell must say how. */
async function checkIdentities(coordinator: NodeConnection, tables: readonly FedTable[], signal: AbortSignal): Promise<void> {
  for (const { schema, name } of tables) {
    const sql = quoteQualified(schema, name);
    const { rows } = await coordinator.query({ text: `SELECT relpersistence FROM pg_catalog.pg_class WHERE oid = $1::text::pg_catalog.regclass`, values: [sql] }, { signal });
    if (rows[0]?.[0] === 'u') throw new ClusterError('unsupportedTable', `table "${name}" is unlogged, and has no changes that could be read`, { hint: `ALTER TABLE ${sql} SET LOGGED`, schema, table: name });
    const { now, needed } = await readReplicaIdentity(coordinator, { sql }, signal);
    if (now === needed) continue;
    throw new ClusterError('unsupportedTable', `changes of table "${name}" cannot be told by their rows`, {
      detail: 'It has no primary key, or one that is deferrable, so its updates and deletes would not say which row they are of.',
      hint: `ALTER TABLE ${sql} REPLICA IDENTITY ${needed}`, schema, table: name,
    });
  }
}

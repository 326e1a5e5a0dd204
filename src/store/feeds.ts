import { present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { nodeId, type NodeId, shardId, type ShardId } from '../catalog/ids.ts';
import { lsnText, readLsn } from '../cluster/lsn.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import { withSchema } from './install.ts';

type Coordinator = Pick<NodeConnections, 'query'>;

/** `creating`: some of it may be there. `snapshot`: its reader has not confirmed to have the rows that it begins with. `lost`: nothing of it is left on nodes. `dropping`: it goes. */
export type FeedState = 'creating' | 'snapshot' | 'streaming' | 'lost' | 'dropping';

export interface FeedNode {
  readonly node: NodeId;
  /** Where its slot begins; undefined while it may not be there yet. */
  readonly start: bigint | undefined;
}

export interface StoredFeed {
  /** A bigint's text; never used again. */
  readonly id: string;
  readonly name: string;
  readonly state: FeedState;
  /** OIDs of the shells. */
  readonly tables: readonly number[];
  readonly nodes: readonly FeedNode[];
  readonly referenceNode: NodeId | undefined;
  readonly maxRetainedBytes: number;
  /** A cursor. */
  readonly confirmed: string | undefined;
  readonly error: string | undefined;
  readonly createdAt: Date;
}

const feedQuery = `
SELECT feed_id, name, state, (SELECT pg_catalog.json_agg(relation::oid::bigint ORDER BY relation::oid) FROM shardwright.feed_table t WHERE t.feed_id = f.feed_id),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(node_id, start_lsn) ORDER BY node_id) FROM shardwright.feed_node n WHERE n.feed_id = f.feed_id),
  reference_node_id, max_retained_bytes, confirmed, error, extract(epoch FROM created_at) * 1000
FROM shardwright.feed f`;

/** In order of their making. */
export async function listFeeds(coordinator: Coordinator & Pick<NodeConnections, 'acquire'>, options?: CallOptions): Promise<StoredFeed[]> {
  return withSchema(coordinator, () => readFeeds(coordinator, { where: 'true ORDER BY feed_id' }, options), options);
}

/** Undefined where there is none. */
export async function findFeed(coordinator: Coordinator, name: string, options?: CallOptions): Promise<StoredFeed | undefined> {
  return (await readFeeds(coordinator, { where: 'name = $1', values: [name] }, options))[0];
}

/** The same by its id. */
export async function readFeed(coordinator: Coordinator, id: string, options?: CallOptions): Promise<StoredFeed | undefined> {
  return (await readFeeds(coordinator, { where: 'feed_id = $1', values: [id] }, options))[0];
}

/** Those that have something on nodes to be told of what happens to these tables. None where the schema knows no feeds yet. */
export async function feedsOfTables(coordinator: Coordinator, oids: readonly number[], options?: CallOptions): Promise<StoredFeed[]> {
  const { rows } = await coordinator.query({ text: `SELECT pg_catalog.to_regclass('shardwright.feed') IS NOT NULL` }, options);
  if (rows[0]?.[0] !== 't') return [];
  const where = `state IN ('snapshot', 'streaming') AND EXISTS (SELECT FROM shardwright.feed_table t WHERE t.feed_id = f.feed_id AND t.relation::oid = ANY ($1::oid[])) ORDER BY feed_id`;
  return readFeeds(coordinator, { where, values: [`{${oids.join(',')}}`] }, options);
}

async function readFeeds(coordinator: Coordinator, { where, values }: { readonly where: string; readonly values?: readonly unknown[] }, options?: CallOptions): Promise<StoredFeed[]> {
  const { rows } = await coordinator.query({ text: `${feedQuery} WHERE ${where}`, values }, options);
  return rows.map(([id, name, state, tables, nodes, referenceNode, maxRetainedBytes, confirmed, error, createdMs]) => ({
    id: id ?? '',
    name: name ?? '',
    state: state as FeedState,
    tables: JSON.parse(tables ?? '[]') as number[],
    nodes: (JSON.parse(nodes ?? '[]') as [number, string | null][]).map(([node, start]) => ({ node: nodeId(node), start: start === null ? undefined : readLsn(start) })),
    referenceNode: referenceNode === null || referenceNode === undefined ? undefined : nodeId(Number(referenceNode)),
    maxRetainedBytes: Number(maxRetainedBytes),
    confirmed: confirmed ?? undefined,
    error: error ?? undefined,
    createdAt: new Date(Number(createdMs)),
  }));
}

export interface NewFeed extends Pick<StoredFeed, 'name' | 'tables' | 'referenceNode' | 'maxRetainedBytes'> {
  readonly nodes: readonly NodeId[];
}

/** In state `creating`, with the shards that there are. `notDistributed` when one of the tables has just been dropped. */
export async function insertFeed(coordinator: Coordinator, feed: NewFeed, options?: CallOptions): Promise<string> {
  const text = `
    WITH made AS (INSERT INTO shardwright.feed (name, state, reference_node_id, max_retained_bytes) VALUES ($1, 'creating', $2, $3) RETURNING feed_id),
    tables AS (INSERT INTO shardwright.feed_table SELECT feed_id, oid FROM made, pg_catalog.unnest($4::oid[]) AS oid),
    nodes AS (INSERT INTO shardwright.feed_node (feed_id, node_id) SELECT feed_id, node FROM made, pg_catalog.unnest($5::integer[]) AS node),
    shards AS (INSERT INTO shardwright.feed_shard (feed_id, shard_id, relation, hash_min, hash_max)
      SELECT feed_id, shard_id, relation::oid, hash_min, hash_max FROM made, shardwright.shard LEFT JOIN shardwright.shard_group USING (shard_group_id) WHERE relation::oid = ANY ($4::oid[]))
    SELECT feed_id FROM made`;
  try {
    const { rows } = await coordinator.query({ text, values: [feed.name, feed.referenceNode ?? null, feed.maxRetainedBytes, `{${feed.tables.join(',')}}`, `{${feed.nodes.join(',')}}`] }, options);
    return present(rows[0]?.[0] ?? undefined, 'feed id');
  } catch (error) {
    if (sqlStateOf(error) !== '23503') throw error;
    throw new ClusterError('notDistributed', 'a table was dropped while a change feed was made for it', { cause: error });
  }
}

/** Compare-and-set: false when the feed is not in one of the states `from`, or not there. */
export async function changeFeedState(
  coordinator: Coordinator, id: string, change: { readonly from: readonly FeedState[]; readonly to: FeedState; readonly error?: string | undefined; readonly confirmed?: string | undefined },
): Promise<boolean> {
  const text = 'UPDATE shardwright.feed SET state = $3, error = coalesce($4, error), confirmed = coalesce($5, confirmed) WHERE feed_id = $1 AND state = ANY ($2::text[])';
  const { rowCount } = await coordinator.query({ text, values: [id, `{${change.from.join(',')}}`, change.to, change.error ?? null, change.confirmed ?? null] });
  return rowCount === 1;
}

export async function storeMaxRetainedBytes(coordinator: Coordinator, id: string, bytes: number): Promise<void> {
  await coordinator.query({ text: 'UPDATE shardwright.feed SET max_retained_bytes = $2 WHERE feed_id = $1', values: [id, bytes] });
}

export async function deleteFeed(coordinator: Coordinator, id: string): Promise<void> {
  await coordinator.query({ text: 'DELETE FROM shardwright.feed WHERE feed_id = $1', values: [id] });
}

/** Writes a node down, where it is not yet, as one whose slot is to be made. */
export async function registerFeedNode(coordinator: Coordinator, id: string, node: NodeId): Promise<void> {
  await coordinator.query({ text: 'INSERT INTO shardwright.feed_node (feed_id, node_id) VALUES ($1, $2) ON CONFLICT (feed_id, node_id) DO UPDATE SET start_lsn = NULL', values: [id, node] });
}

export async function storeFeedStart(coordinator: Coordinator, id: string, { node, start }: { readonly node: NodeId; readonly start: bigint }): Promise<void> {
  await coordinator.query({ text: 'UPDATE shardwright.feed_node SET start_lsn = $3 WHERE feed_id = $1 AND node_id = $2', values: [id, node, lsnText(start)] });
}

/** Its slot there is about to go. */
export async function closeFeedNode(coordinator: Coordinator, id: string, node: NodeId): Promise<void> {
  await coordinator.query({ text: 'UPDATE shardwright.feed_node SET start_lsn = NULL WHERE feed_id = $1 AND node_id = $2', values: [id, node] });
}

export async function forgetFeedNode(coordinator: Coordinator, id: string, node: NodeId): Promise<void> {
  await coordinator.query({ text: 'DELETE FROM shardwright.feed_node WHERE feed_id = $1 AND node_id = $2', values: [id, node] });
}

/** A shard as a feed has it: of which table, and for which hashes; no hashes for a reference table. */
export interface FeedShard {
  readonly table: number;
  readonly min: number | undefined;
  readonly max: number | undefined;
}

export async function readFeedShards(coordinator: Coordinator, id: string, options?: CallOptions): Promise<Map<ShardId, FeedShard>> {
  const { rows } = await coordinator.query({ text: 'SELECT shard_id, relation, hash_min, hash_max FROM shardwright.feed_shard WHERE feed_id = $1', values: [id] }, options);
  const bound = (text: string | null | undefined): number | undefined => (text === null || text === undefined ? undefined : Number(text));
  return new Map(rows.map(([shard, table, min, max]) => [shardId(Number(shard)), { table: Number(table), min: bound(min), max: bound(max) }]));
}

/** A job's cut-over that a node's stream has come by. */
export interface FeedCut {
  readonly job: string;
  readonly node: NodeId;
}

export async function readFeedCuts(coordinator: Coordinator, id: string, options?: CallOptions): Promise<FeedCut[]> {
  const { rows } = await coordinator.query({ text: 'SELECT job_id, node_id FROM shardwright.feed_cut WHERE feed_id = $1', values: [id] }, options);
  return rows.map(([job, node]) => ({ job: job ?? '', node: nodeId(Number(node)) }));
}

/** How far the reader is for good, and cut-overs that slots may be moved past: what is not there before a slot moves could not be found out again. */
export async function storeFeedProgress(coordinator: Coordinator, id: string, { confirmed, cuts }: { readonly confirmed: string; readonly cuts: readonly FeedCut[] }): Promise<void> {
  const text = `
    WITH told AS (UPDATE shardwright.feed SET confirmed = $2 WHERE feed_id = $1 RETURNING feed_id)
    INSERT INTO shardwright.feed_cut SELECT feed_id, job, node FROM told, unnest($3::bigint[], $4::integer[]) AS c (job, node) ON CONFLICT DO NOTHING`;
  await coordinator.query({ text, values: [id, confirmed, `{${cuts.map(({ job }) => job).join(',')}}`, `{${cuts.map(({ node }) => node).join(',')}}`] });
}

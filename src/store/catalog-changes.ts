import { assert, at, present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { ClusterNode, ColocationGroup, HashFamily, ShardGroup } from '../catalog/catalog-snapshot.ts';
import { isAtAddress } from '../catalog/node-address.ts';
import { colocationId, nodeId, shardGroupId, shardId } from '../catalog/ids.ts';
import type { ColocationId, NodeId, ShardGroupId, ShardId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, NodeConnections, RawRow } from '../cluster/node-connection.ts';
import { runOnCatalog } from './admission.ts';
import { type HostTuples, serversOf, storedHosts } from './node-servers.ts';

/** A connection to the coordinator database in a transaction block: every function here that changes something is a part of the caller's transaction. */
export interface Change extends CallOptions {
  readonly coordinator: Pick<NodeConnection, 'query'>;
}

/** The channel on which a cluster's processes hear of new versions. */
export function catalogChannel(clusterId: string): string {
  return `shardwright_catalog_${clusterId.replaceAll('-', '')}`;
}

/**
 * Waits until no other transaction changes the catalog, and keeps others from it until this one ends. Take the locks on tables first,
 * so that whoever holds this one need not wait for long. Returns the cluster's id.
 */
export async function lockCatalog(change: Change): Promise<string> {
  const [row] = await run(change, 'SELECT id FROM shardwright.cluster FOR NO KEY UPDATE');
  return present(row?.[0] ?? undefined, 'cluster id');
}

/** For so many versions it is kept which tables they changed: who is further behind reads all. */
const versionsKept = 1_000;

/**
 * The last step of every change: the new version, which others hear of when the transaction commits. `tables`: OIDs of the shells of the only tables whose definitions, shards or kind have changed, their partitions with them. Without it,
 * any may have. Nodes, shard groups, schemas, lookups and views need not be told: they are read every time, but where every version since says `placementsOnly`.
 */
export async function bumpVersion(change: Change, tables?: readonly number[]): Promise<number> {
  const [row] = await run(
    change,
    `WITH bumped AS (UPDATE shardwright.cluster SET catalog_version = catalog_version + 1 RETURNING id, catalog_version),
       noted AS (INSERT INTO shardwright.catalog_change (version, relations)
         SELECT catalog_version, ARRAY(SELECT t FROM unnest($1::oid[]) AS t UNION SELECT p.relid FROM unnest($1::oid[]) AS t, pg_partition_tree(t) AS p) FROM bumped WHERE $1::oid[] IS NOT NULL),
       forgotten AS (DELETE FROM shardwright.catalog_change WHERE version <= (SELECT catalog_version FROM bumped) - ${versionsKept})
     SELECT catalog_version, pg_notify('shardwright_catalog_' || replace(id::text, '-', ''), catalog_version::text) FROM bumped`,
    [tables ?? null],
  );
  return Number(present(row, 'cluster')[0]);
}

/** The nodes as this transaction sees them, in order of id. */
export async function readNodes(change: Change): Promise<ClusterNode[]> {
  const rows = await run(change, 'SELECT node_id, host, port, database, hosts, patroni, system_identifier, timeline FROM shardwright.node ORDER BY node_id');
  return rows.map(([id, host, port, database, hosts, patroni, systemIdentifier, timeline]) => ({
    id: nodeId(Number(id)),
    host: host ?? '',
    port: Number(port),
    database: database ?? '',
    ...serversOf({
      hosts: JSON.parse(hosts ?? 'null') as HostTuples | null, patroni: JSON.parse(patroni ?? 'null') as string[] | null,
      systemIdentifier: systemIdentifier ?? null, timeline: timeline === null || timeline === undefined ? null : Number(timeline),
    }),
  }));
}

export type NodeAddress = Omit<ClusterNode, 'id'>;

/** An id that no node has, nor ever had. */
export async function newNodeId(coordinator: Coordinator): Promise<NodeId> {
  return nodeId(at(await nextIds(coordinator, `pg_get_serial_sequence('shardwright.node', 'node_id')`, 1), 0));
}

/** `nodeExists` when the address is listed already. */
export async function insertNode(change: Change, { id, ...address }: ClusterNode): Promise<void> {
  const { host, port, database } = address;
  await checkHosts(change, undefined, address);
  try {
    const text = 'INSERT INTO shardwright.node (node_id, host, port, database, hosts, patroni) VALUES ($1, $2, $3, $4, $5, $6)';
    await run(change, text, [id, host, port, database, ...storedHosts(address)]);
  } catch (error) {
    if (sqlStateOf(error) !== '23505') throw error;
    throw new ClusterError('nodeExists', `node ${host}:${port}/${database} is in the cluster already`, { cause: error });
  }
}

/** `nodeExists` when the address is another node's. */
export async function updateAddress(change: Change, node: NodeId, address: NodeAddress): Promise<void> {
  const { host, port, database } = address;
  await checkHosts(change, node, address);
  const text = 'UPDATE shardwright.node SET host = $2, port = $3, database = $4, hosts = $5, patroni = $6, system_identifier = NULL, timeline = NULL WHERE node_id = $1';
  try {
    await run(change, text, [node, host, port, database, ...storedHosts(address)]);
  } catch (error) {
    if (sqlStateOf(error) !== '23505') throw error;
    throw new ClusterError('nodeExists', `${host}:${port}/${database} is the address of another node`, { cause: error });
  }
}

/** No server may belong to two nodes with the same database: `nodeExists`. */
export async function checkHosts(change: Change, own: NodeId | undefined, { host, port, database, hosts = [{ host, port }] }: NodeAddress): Promise<void> {
  const others = (await readNodes(change)).filter((node) => node.id !== own);
  const taken = hosts.find((address) => others.some((node) => isAtAddress(node, { ...address, database })));
  if (taken !== undefined) throw new ClusterError('nodeExists', `node ${taken.host}:${taken.port}/${database} is in the cluster already`);
}

export async function deleteNode(change: Change, node: NodeId): Promise<void> {
  await run(change, 'DELETE FROM shardwright.node WHERE node_id = $1', [node]);
}

/** How many shard groups, of how many tables, live on a node. */
export async function countShards(change: Change, node: NodeId): Promise<{ readonly shards: number; readonly tables: string[] }> {
  const rows = await run(
    change,
    `SELECT t.relation::text, count(*) FROM shardwright.shard_group g
     LEFT JOIN shardwright.shard s USING (shard_group_id) LEFT JOIN shardwright.distributed_table t USING (relation)
     WHERE g.node_id = $1 GROUP BY 1 ORDER BY 1`,
    [node],
  );
  const shards = rows.reduce((sum, [, count]) => sum + Number(count), 0);
  return { shards, tables: rows.flatMap(([name]) => name ?? []) };
}

/** A slice of the hash space on a node, as a job knows it. */
interface PlacedGroup {
  readonly group: ShardGroupId;
  readonly node: NodeId;
  readonly min: number;
  readonly max: number;
  /** By the OID of the table; undefined where the shards are those of the source. */
  readonly shards?: Readonly<Record<string, ShardId>> | undefined;
}

/** Puts shard groups in the place of neighbours that hold the same hashes together. A group among both stays what it is, perhaps on another node. Those replaced must be as given. */
export async function replaceShardGroups(change: Change, { sources, targets }: { readonly sources: readonly PlacedGroup[]; readonly targets: readonly PlacedGroup[] }): Promise<void> {
  const kept = targets.filter(({ group }) => sources.some((source) => source.group === group));
  for (const { group, node } of kept) await run(change, 'UPDATE shardwright.shard_group SET node_id = $2 WHERE shard_group_id = $1', [group, node]);
  const gone = sources.filter(({ group }) => !kept.some((target) => target.group === group));
  if (gone.length === 0) return;
  const [colocation, first] = await deleteShardGroups(change, gone.map(({ group }) => group));
  const added = targets.filter((target) => !kept.includes(target));
  await run(change, 'UPDATE shardwright.shard_group SET ordinal = ordinal + $3 WHERE colocation_id = $1 AND ordinal >= $2', [colocation, first, added.length - gone.length]);
  await insertShardGroups(change, added, [colocation, first]);
}

/** Returns their colocation group, and the first one's ordinal. */
async function deleteShardGroups(change: Change, groups: readonly ShardGroupId[]): Promise<[colocation: number, ordinal: number]> {
  const ids = `{${groups.join(',')}}`;
  await run(change, 'DELETE FROM shardwright.shard WHERE shard_group_id = ANY ($1::integer[])', [ids]);
  const rows = await run(change, 'DELETE FROM shardwright.shard_group WHERE shard_group_id = ANY ($1::integer[]) RETURNING colocation_id, ordinal', [ids]);
  assert(rows.length === groups.length, `not all of shard groups ${ids} exist`);
  return [Number(at(rows, 0)[0]), Math.min(...rows.map((row) => Number(row[1])))];
}

async function insertShardGroups(change: Change, groups: readonly PlacedGroup[], [colocation, first]: readonly [colocation: number, ordinal: number]): Promise<void> {
  const slices = groups.map(({ group, node, min, max }, i) => ({ group, node, min, max, ordinal: first + i }));
  await run(
    change,
    `INSERT INTO shardwright.shard_group (shard_group_id, colocation_id, ordinal, hash_min, hash_max, node_id)
     SELECT s."group", $1, s.ordinal, s.min, s.max, s.node FROM jsonb_to_recordset($2) AS s ("group" integer, ordinal integer, min integer, max integer, node integer)`,
    [colocation, JSON.stringify(slices)],
  );
  const shards = groups.flatMap(({ group, shards: ids = {} }) => Object.entries(ids).map(([table, shard]) => ({ group, table, shard })));
  await run(
    change,
    `INSERT INTO shardwright.shard (shard_id, relation, shard_group_id)
     SELECT s.shard, s."table", s."group" FROM jsonb_to_recordset($1) AS s (shard bigint, "table" oid, "group" integer)`,
    [JSON.stringify(shards)],
  );
}

type Coordinator = Pick<NodeConnections, 'query'>;

/** Ids that nothing has, nor ever had. */
export async function newShardGroupIds(coordinator: Coordinator, count: number): Promise<ShardGroupId[]> {
  return (await nextIds(coordinator, `pg_get_serial_sequence('shardwright.shard_group', 'shard_group_id')`, count)).map(shardGroupId);
}

/** The same for shards. */
export async function newShardIds(coordinator: Coordinator, count: number): Promise<ShardId[]> {
  return (await nextIds(coordinator, `'shardwright.shard_id_seq'`, count)).map(shardId);
}

async function nextIds(coordinator: Coordinator, sequence: string, count: number): Promise<number[]> {
  const { rows } = await coordinator.query({ text: `SELECT nextval(${sequence}) FROM generate_series(1, $1)`, values: [count] });
  return rows.map(([id]) => Number(id));
}

export interface GroupWish {
  /** Undefined for single-shard tables. */
  readonly distributionType: string | undefined;
  readonly shardCount: number;
  readonly hash: HashFamily;
}

/** The group that a table of this kind joins when it names no other: the oldest. `unsplit`: it must still have as many shard groups as it was made with. */
export async function findDefaultGroup(change: Change, wish: GroupWish, { unsplit = false }: { readonly unsplit?: boolean } = {}): Promise<ColocationGroup | undefined> {
  const where = `colocation_id = (SELECT min(c.colocation_id) FROM shardwright.colocation_group c
    WHERE c.joinable_by_default AND c.distribution_type IS NOT DISTINCT FROM $1 AND c.shard_count = $2 AND c.hash_family = $3
      AND ($4::boolean IS NOT TRUE OR c.shard_count = (SELECT count(*) FROM shardwright.shard_group g WHERE g.colocation_id = c.colocation_id)))`;
  return readGroup(change, where, [wish.distributionType ?? null, wish.shardCount, wish.hash, String(unsplit)]);
}

export async function groupById(change: Change, id: ColocationId): Promise<ColocationGroup> {
  return present(await readGroup(change, 'colocation_id = $1', [id]), 'colocation group');
}

async function readGroup(change: Change, where: string, values: readonly unknown[]): Promise<ColocationGroup | undefined> {
  const rows = await run(
    change,
    `SELECT colocation_id, hash_family, distribution_type, shard_group_id, ordinal, hash_min, hash_max, node_id
     FROM shardwright.colocation_group JOIN shardwright.shard_group USING (colocation_id) WHERE ${where} ORDER BY ordinal`,
    values,
  );
  const first = rows[0];
  if (first === undefined) return undefined;
  return {
    id: colocationId(Number(first[0])),
    hash: first[1] === 'murmur3' ? 'murmur3' : 'postgres',
    distributionType: first[2] ?? undefined,
    shardGroups: rows.map(shardGroupOf),
  };
}

function shardGroupOf(row: RawRow): ShardGroup {
  const [id, ordinal, min, max, node] = row.slice(3).map(Number);
  return {
    id: shardGroupId(present(id)),
    ordinal: present(ordinal),
    min: present(min),
    max: present(max),
    node: nodeId(present(node)),
  };
}

export interface NewGroup extends GroupWish {
  readonly joinableByDefault: boolean;
  /** In order of `min`. */
  readonly slices: readonly Pick<ShardGroup, 'min' | 'max' | 'node'>[];
}

/** A group whose shard groups have their ids already, in order of `min`. 23505 when tables of this kind join another group by default. */
export async function insertPlannedGroup(change: Change, group: GroupWish & Pick<NewGroup, 'joinableByDefault'>, placed: readonly PlacedGroup[]): Promise<void> {
  const [row] = await run(
    change,
    'INSERT INTO shardwright.colocation_group (distribution_type, shard_count, hash_family, joinable_by_default) VALUES ($1, $2, $3, $4) RETURNING colocation_id',
    [group.distributionType ?? null, group.shardCount, group.hash, String(group.joinableByDefault)],
  );
  await insertShardGroups(change, placed.map((one) => ({ ...one, shards: {} })), [Number(present(row)[0]), 0]);
}

/** The group that these are all shard groups of, as they are given, in order; undefined when that is not so. */
export async function groupOfPlaced(change: Change, placed: readonly PlacedGroup[]): Promise<ColocationGroup | undefined> {
  const [row] = await run(change, 'SELECT colocation_id FROM shardwright.shard_group WHERE shard_group_id = $1', [placed[0]?.group]);
  if (row === undefined) return undefined;
  const group = await groupById(change, colocationId(Number(row[0])));
  const isSame = placed.length === group.shardGroups.length && group.shardGroups.every(({ id, node, min, max }, i) => {
    const one = at(placed, i);
    return one.group === id && one.node === node && one.min === min && one.max === max;
  });
  return isSame ? group : undefined;
}

export async function insertGroup(change: Change, group: NewGroup): Promise<ColocationGroup> {
  const [row] = await run(
    change,
    `WITH made AS (
       INSERT INTO shardwright.colocation_group (distribution_type, shard_count, hash_family, joinable_by_default)
       VALUES ($1, $2, $3, $4) RETURNING colocation_id
     ), filled AS (
       INSERT INTO shardwright.shard_group (colocation_id, ordinal, hash_min, hash_max, node_id)
       SELECT colocation_id, place - 1, (slice->>'min')::integer, (slice->>'max')::integer, (slice->>'node')::integer
       FROM made, jsonb_array_elements($5::jsonb) WITH ORDINALITY AS s (slice, place) ORDER BY place)
     SELECT colocation_id FROM made`,
    [group.distributionType ?? null, group.shardCount, group.hash, String(group.joinableByDefault), JSON.stringify(group.slices)],
  );
  return groupById(change, colocationId(Number(present(row)[0])));
}

/** Records the table and makes the ids of its shards, in the order of the group's shard groups. A single-shard table has no `distributionPosition`. */
export async function insertDistributedTable(
  change: Change,
  table: { readonly oid: number; readonly distributionPosition: number | undefined; readonly group: ColocationGroup },
): Promise<ShardId[]> {
  const { oid, distributionPosition, group } = table;
  await run(
    change,
    `INSERT INTO shardwright.distributed_table (relation, kind, distribution_attnum, colocation_id)
     VALUES ($1::oid, 'distributed', $2, $3)`,
    [oid, distributionPosition ?? null, group.id],
  );
  return insertShards(change, oid, group);
}

async function insertShards(change: Change, oid: number, group: ColocationGroup): Promise<ShardId[]> {
  const rows = await run(
    change,
    `INSERT INTO shardwright.shard (relation, shard_group_id)
     SELECT $1::oid, shard_group_id FROM shardwright.shard_group WHERE colocation_id = $2 ORDER BY ordinal
     RETURNING shard_id, shard_group_id`,
    [oid, group.id],
  );
  const byGroup = new Map(rows.map(([id, shardGroup]) => [Number(shardGroup), shardId(Number(id))]));
  return group.shardGroups.map((shardGroup) => present(byGroup.get(shardGroup.id), 'shard'));
}

/**
 * Distributes a table anew, or makes it a reference table where there is no group. Its shards get new ids, in the order of the group's shard groups; what was planned for the old ones finds nothing. `tableInFeed`, `tableHasLookup`.
 */
export async function replaceShards(
  change: Change,
  table: { readonly oid: number; readonly distributionPosition: number | undefined; readonly group: ColocationGroup | undefined },
): Promise<ShardId[]> {
  const { oid, distributionPosition, group } = table;
  await run(change, 'DELETE FROM shardwright.shard WHERE relation = $1::oid', [oid]);
  await runUnlessInUse(
    change,
    `UPDATE shardwright.distributed_table SET kind = $2, distribution_attnum = $3, colocation_id = $4, shell_is_copy = false WHERE relation = $1::oid`,
    [oid, group === undefined ? 'reference' : 'distributed', distributionPosition ?? null, group?.id ?? null],
  );
  return group === undefined ? [await insertReferenceShard(change, oid)] : insertShards(change, oid, group);
}

export async function isJoinableByDefault(change: Change, id: ColocationId): Promise<boolean> {
  const [row] = await run(change, 'SELECT joinable_by_default FROM shardwright.colocation_group WHERE colocation_id = $1', [id]);
  return row?.[0] === 't';
}

export async function insertReferenceTable(change: Change, oid: number): Promise<ShardId> {
  await run(change, `INSERT INTO shardwright.distributed_table (relation, kind) VALUES ($1::oid, 'reference')`, [oid]);
  return insertReferenceShard(change, oid);
}

async function insertReferenceShard(change: Change, oid: number): Promise<ShardId> {
  const rows = await run(change, 'INSERT INTO shardwright.shard (relation) VALUES ($1::oid) RETURNING shard_id', [oid]);
  return shardId(Number(at(rows, 0)[0]));
}

/** A table whose shards are there already, with ids of their own, in the order of the group's shard groups; one without a group is a reference table, with one shard. `23505` where an id is taken. */
export async function insertAdoptedTable(
  change: Change,
  { oid, distributionPosition, group, shardIds }: { readonly oid: number; readonly distributionPosition: number | undefined; readonly group: ColocationGroup | undefined; readonly shardIds: readonly ShardId[] },
): Promise<void> {
  const kind = group === undefined ? 'reference' : 'distributed';
  await run(change, 'INSERT INTO shardwright.distributed_table (relation, kind, distribution_attnum, colocation_id) VALUES ($1::oid, $2, $3, $4)', [oid, kind, distributionPosition ?? null, group?.id ?? null]);
  const shards = shardIds.map((id, i) => ({ id, group: group?.shardGroups[i]?.id ?? null }));
  await run(
    change,
    `INSERT INTO shardwright.shard (shard_id, relation, shard_group_id) SELECT s.id, $1::oid, s."group" FROM jsonb_to_recordset($2::jsonb) AS s (id bigint, "group" integer)`,
    [oid, JSON.stringify(shards)],
  );
}

/** From now on no shard gets an id that one of these tables' has. */
export async function passShardIds(change: Change): Promise<void> {
  await run(change, `SELECT setval('shardwright.shard_id_seq', max(shard_id)) FROM shardwright.shard HAVING max(shard_id) > (SELECT last_value FROM shardwright.shard_id_seq)`);
}

/** Whether the shells of these reference tables are copies from now on. */
export async function setShellCopies(change: Change, oids: readonly number[], shellIsCopy: boolean): Promise<void> {
  await run(change, 'UPDATE shardwright.distributed_table SET shell_is_copy = $2 WHERE relation::oid = ANY ($1::oid[])', [oids, String(shellIsCopy)]);
}

/** Gives a reference table's shard another id, so that what was planned for the old one finds nothing. */
export async function renewReferenceShard(change: Change, oid: number): Promise<ShardId> {
  const text = `UPDATE shardwright.shard SET shard_id = nextval('shardwright.shard_id_seq') WHERE relation = $1::oid RETURNING shard_id`;
  const rows = await run(change, text, [oid]);
  return shardId(Number(at(rows, 0)[0]));
}

/** The same for an id that was made before, with `newShardIds`. */
export async function setReferenceShard(change: Change, oid: number, id: ShardId): Promise<void> {
  await run(change, 'UPDATE shardwright.shard SET shard_id = $2 WHERE relation = $1::oid', [oid, id]);
}

/** The same for all shards of tables: the new ids by the old ones. */
export async function renewShards(change: Change, oids: readonly number[]): Promise<Map<ShardId, ShardId>> {
  const rows = await run(
    change,
    `WITH fresh AS MATERIALIZED (
       SELECT shard_id AS old, nextval('shardwright.shard_id_seq') AS new FROM (
         SELECT shard_id FROM shardwright.shard WHERE relation::oid = ANY ($1::oid[]) ORDER BY shard_id) s)
     UPDATE shardwright.shard SET shard_id = new FROM fresh WHERE shard_id = old RETURNING old, new`,
    [oids],
  );
  return new Map(rows.map(([old, renewed]) => [shardId(Number(old)), shardId(Number(renewed))]));
}

/** The version of the catalog, which stays until this transaction ends: nobody else can change the catalog meanwhile. */
export async function lockVersion(change: Change): Promise<number> {
  const [row] = await run(change, 'SELECT catalog_version FROM shardwright.cluster FOR NO KEY UPDATE');
  return Number(present(row, 'cluster')[0]);
}

/** Forgets the table and its shards, and its colocation group when it was the last in it. `tableInFeed`, `tableHasLookup`. */
export async function deleteTable(change: Change, oid: number): Promise<void> {
  await runUnlessInUse(change, 'DELETE FROM shardwright.distributed_table WHERE relation = $1::oid', [oid]);
  await deleteEmptyGroups(change);
}

/** But for those that a table is about to come to. */
export async function deleteEmptyGroups(change: Change): Promise<void> {
  await run(
    change,
    `DELETE FROM shardwright.colocation_group g
     WHERE NOT EXISTS (SELECT FROM shardwright.distributed_table t WHERE t.colocation_id = g.colocation_id)
       AND NOT EXISTS (SELECT FROM shardwright.distributed_schema s WHERE s.colocation_id = g.colocation_id)
       AND NOT EXISTS (SELECT FROM shardwright.shard_group s JOIN shardwright.job_shard_group USING (shard_group_id) JOIN shardwright.job j USING (job_id)
         WHERE s.colocation_id = g.colocation_id AND j.kind = 'distribute')`,
  );
}

/** Triggers say so, also to whom knows no feeds or lookups. */
async function runUnlessInUse(change: Change, text: string, values: readonly unknown[]): Promise<void> {
  try {
    await run(change, text, values);
  } catch (error) {
    if (sqlStateOf(error) === '2BP01' && error instanceof Error && error.message.startsWith('the table has the unique lookup')) throw new ClusterError('tableHasLookup', error.message, { hint: 'Drop the lookup first: cluster.dropUniqueLookup().', cause: error });
    if (sqlStateOf(error) !== '55006' || !(error instanceof Error)) throw error;
    throw new ClusterError('tableInFeed', error.message, { hint: 'Drop the feed first: cluster.dropFeed().', cause: error });
  }
}

function run({ coordinator, signal }: Change, text: string, values: readonly unknown[] = []): Promise<RawRow[]> {
  return runOnCatalog(coordinator, { text, values }, { signal });
}

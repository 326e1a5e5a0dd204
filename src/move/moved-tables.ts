import { createHash } from 'node:crypto';
import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { HashFamily } from '../catalog/catalog-snapshot.ts';
import { type DistributionType, distributionType } from '../catalog/hash/distribution-type.ts';
import { type NodeId, nodeId, type ShardGroupId, shardGroupId, type ShardId, shardId } from '../catalog/ids.ts';
import type { HashRange } from '../catalog/shard-for-hash.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions, NodeConnection, RawRow } from '../cluster/node-connection.ts';
import { inheritedNames } from '../ddl/inherited-names.ts';
import { readObjects } from '../ddl/objects/read-objects.ts';
import { readPresentDefinitions } from '../ddl/read-definition.ts';
import { referencedShards } from '../ddl/referenced-shards.ts';
import type { ShardWish } from '../ddl/render-shard.ts';
import type { RelatedTable, TableDefinition } from '../ddl/table-definition.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { type JobTarget, referenceTables, type StoredJob } from '../store/jobs.ts';
import { definitionChanged, definitionsChanged } from './streamed-tables.ts';

/** One table's rows where they are: a shard, or a local table that is being distributed. */
export interface MovedShard {
  readonly definition: TableDefinition;
  /** Undefined of a local table. */
  readonly shard: ShardId | undefined;
  /** The shard's own name. */
  readonly name: string;
  /** Quoted and qualified, where statements look for it. */
  readonly sql: string;
}

interface NumberedShard extends MovedShard {
  readonly shard: ShardId;
}

/** A shard group that a job takes rows from, as the catalog has it. */
export interface SourceGroup extends HashRange {
  readonly id: ShardGroupId;
  readonly node: NodeId;
  readonly tables: readonly MovedShard[];
}

/** A shard that a job makes. */
export interface TargetShard extends NumberedShard {
  readonly wish: ShardWish;
}

/** A shard group as it will be. */
export interface TargetGroup extends HashRange {
  readonly id: ShardGroupId;
  readonly node: NodeId;
  readonly tables: readonly TargetShard[];
}

/** How the rows of a table are told apart by their hashes. */
export interface RowHash {
  readonly family: HashFamily;
  readonly type: DistributionType;
  /** Name of the distribution column of each table, by its OID. */
  readonly columns: ReadonlyMap<number, string>;
  /** Whether a row without a value, which no shard should have, is kept, in the first part; those of a table that is distributed are refused. */
  readonly takesNull: boolean;
}

/** The shard groups of a job, all with the same tables in the same order. */
export interface MovedGroups {
  readonly sources: readonly SourceGroup[];
  readonly targets: readonly TargetGroup[];
  /** Undefined of single-shard tables. */
  readonly hash: RowHash | undefined;
  /** Of all definitions: when it has changed, what was made of them is out of date. */
  readonly fingerprint: string;
}

const groupsQuery = `
SELECT g.shard_group_id, g.ordinal, g.hash_min, g.hash_max, g.node_id, c.hash_family, c.distribution_type, t.relation::oid, h.shard_id, a.attname
FROM shardwright.shard_group g JOIN shardwright.colocation_group c USING (colocation_id) JOIN shardwright.shard h USING (shard_group_id)
JOIN shardwright.distributed_table t USING (relation)
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relation AND a.attnum = t.distribution_attnum
WHERE g.shard_group_id = ANY ($1::integer[]) ORDER BY g.ordinal, t.relation::oid`;

/** All reference tables, in the same form: as one shard group, on the node from which they are copied. */
const referenceQuery = `
SELECT ${referenceTables}, 0, 0, 0, $1::integer, NULL, NULL, relation::oid, shard_id, NULL FROM shardwright.shard WHERE shard_group_id IS NULL ORDER BY relation::oid`;

/** Those that the catalog has, in the connection's transaction, which must have `definitionSettings`. `moveRefused` when there is no such group. */
export async function readShardGroups(coordinator: NodeConnection, job: Pick<StoredJob, 'sources' | 'targets'>, options?: CallOptions): Promise<MovedGroups> {
  const isNode = job.sources.some(({ group }) => group === referenceTables);
  const query = isNode ? { text: referenceQuery, values: [at(job.sources, 0).node] } : { text: groupsQuery, values: [`{${job.sources.map(({ group }) => group).join(',')}}`] };
  const { rows } = await coordinator.query(query, options);
  if (isNode && rows.length === 0) throw definitionsChanged();
  const missing = job.sources.find(({ group }) => !rows.some(([id]) => Number(id) === group));
  if (missing !== undefined) throw new ClusterError('moveRefused', `shard group ${missing.group} has no tables`, { detail: 'They were dropped, or undistributed, or the shard group was split.' });
  const definitions = await readPresentDefinitions(coordinator, [...new Set(rows.map((row) => Number(row[7])))], options);
  const sources = job.sources.map(({ group }) => sourceOf(rows.filter(([id]) => Number(id) === group), definitions));
  const hash = hashOf(rows);
  const references = referencesOf(at(sources, 0), Number(at(rows, 0)[1]));
  const targets = job.targets.map((target) => targetOf(target, at(sources, 0), { hash, references }));
  const objects = isNode ? await readObjects(coordinator, options ?? {}) : [];
  const parts = sources.flatMap(({ tables }) => tables.map(({ definition, shard }) => [shard, definition, withoutReferenceTables(definition, references.get(definition.oid) ?? new Map())]));
  return { sources, targets, hash, fingerprint: fingerprintOf(objects.length > 0 ? [objects, ...parts] : parts) };
}

interface NumberedGroup extends SourceGroup {
  readonly tables: readonly NumberedShard[];
}

function sourceOf(rows: readonly RawRow[], definitions: ReadonlyMap<number, TableDefinition>): NumberedGroup {
  const [id, , min, max, node] = at(rows, 0).map(Number);
  return {
    id: shardGroupId(present(id)), node: nodeId(present(node)), min: present(min), max: present(max),
    tables: rows.map((row) => numberedShard(present(definitions.get(Number(row[7]))), shardId(Number(row[8])))),
  };
}

export function numberedShard(definition: TableDefinition, shard: ShardId): NumberedShard {
  const name = shardName(definition.name, shard);
  return { definition, shard, name, sql: quoteQualified(definition.schema, name) };
}

function hashOf(rows: readonly RawRow[]): RowHash | undefined {
  const [, , , , , family, type = null] = at(rows, 0);
  if (type === null) return undefined;
  return {
    family: family === 'murmur3' ? 'murmur3' : 'postgres',
    type: present(distributionType(type), 'distribution type'),
    columns: new Map(rows.map((row) => [Number(row[7]), row[9] ?? ''])),
    takesNull: true,
  };
}

/** SQL for the hash of the table's rows, of family `postgres`. */
export function hashSql({ type, columns }: RowHash, { oid }: TableDefinition): string {
  return type.hashSql(quoteIdentifier(present(columns.get(oid), 'distribution column')));
}

/** What the foreign keys of each table's shard refer to, by OIDs. */
type References = ReadonlyMap<number, ReadonlyMap<number, ShardId>>;

function referencesOf({ tables }: SourceGroup, ordinal: number): References {
  return new Map(tables.map(({ definition }) => [definition.oid, referencedShards(definition, ordinal)]));
}

interface Targeting {
  readonly hash: RowHash | undefined;
  readonly references: References;
}

function targetOf({ group, node, min, max, shards }: JobTarget, source: NumberedGroup, { hash, references }: Targeting): TargetGroup {
  const idOf = (oid: number, own: ShardId): ShardId => {
    const id = shards === undefined ? own : shards[oid];
    if (id === undefined) throw definitionChanged(source.tables.map(({ definition }) => definition.name).join(', '));
    return id;
  };
  const tables = source.tables.map(({ definition, shard }) => {
    const own = numberedShard(definition, idOf(definition.oid, shard));
    const referred = [...(references.get(definition.oid) ?? [])].map(([oid, id]) => [oid, shards?.[oid] ?? id] as const);
    const range = hash?.family === 'postgres' && definition.partitionKey === null ? { sql: hashSql(hash, definition), range: { min, max } } : undefined;
    return { ...own, wish: { id: own.shard, hash: range, references: new Map(referred) } };
  });
  return { id: group, node, min, max, tables: withInheritedNames(tables) };
}

/** A partition's tree is in its shard group as a whole. */
export function withInheritedNames(tables: readonly TargetShard[]): TargetShard[] {
  const definitions = tables.map(({ definition }) => definition);
  const shards = new Map(tables.map(({ definition, shard }) => [definition.oid, shard]));
  return tables.map((table) => ({ ...table, wish: { ...table.wish, inherited: inheritedNames(table.definition, definitions, shards) } }));
}

/** Those that have rows themselves. */
export function shardsWithRows<T extends MovedShard>(shards: readonly T[]): T[] {
  return shards.filter(hasRows);
}

/** A partitioned table's are in its partitions. */
export function hasRows({ definition }: Pick<MovedShard, 'definition'>): boolean {
  return definition.partitionKey === null;
}

/** Partitions before what they are partitions of: the shards of each list depend on those of lists before it alone. */
export function partitionsFirst<T extends MovedShard>(shards: readonly T[]): T[][] {
  const depthOf = ({ definition: { partitionOf } }: T): number => {
    const parent = shards.find(({ definition }) => definition.oid === partitionOf?.table.oid);
    return parent === undefined ? 0 : depthOf(parent) + 1;
  };
  const levels: T[][] = [];
  for (const shard of shards) (levels[depthOf(shard)] ??= []).push(shard);
  return levels.reverse();
}

/** The ids of other tables' shards are left out: those of a neighbour that is split meanwhile change nothing here. */
export function fingerprintOf(parts: readonly unknown[]): string {
  const hash = createHash('sha256');
  const withoutShards = (key: string, value: unknown): unknown => {
    if (isRelated(value)) return { ...value, distribution: isDistribution(value.distribution) ? { ...value.distribution, shellIsCopy: null } : null };
    return key === 'distribution' && isDistribution(value) ? { ...value, shardIds: null } : value;
  };
  for (const part of parts) hash.update(JSON.stringify(part, withoutShards));
  return hash.digest('hex');
}

/** Of another table it does not matter whether it has its rows in the coordinator database, too. */
function isRelated(value: unknown): value is RelatedTable {
  return typeof value === 'object' && value !== null && 'distribution' in value && !('columns' in value);
}

function isDistribution(value: unknown): value is { readonly kind: string } {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

/** What a table's foreign keys refer to but for reference tables, whose shards get other ids with a new node: see `sameReferences`. */
export function withoutReferenceTables(definition: TableDefinition, references: ReadonlyMap<number, ShardId>): [number, ShardId][] {
  return [...references].filter(([oid]) => !isReference(definition, oid));
}

/** Whether the table of this OID, which a foreign key refers to, is a reference table. */
function isReference({ constraints }: TableDefinition, oid: number): boolean {
  return (constraints ?? []).some(({ foreign }) => foreign?.table.oid === oid && foreign.table.distribution?.kind === 'reference');
}

/** Whether foreign keys made for the one would refer to the same shards as those for the other. */
export function sameReferences(one: MovedGroups, other: MovedGroups): boolean {
  const references = ({ targets }: MovedGroups): string => JSON.stringify(targets.map(({ tables }) => tables.map(({ wish }) => [...wish.references])));
  return references(one) === references(other);
}

/** Each once, in order of first use. */
export function nodesOf(groups: readonly { readonly node: NodeId }[]): NodeId[] {
  return [...new Set(groups.map(({ node }) => node))];
}

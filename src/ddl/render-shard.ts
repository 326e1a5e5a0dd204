import type { ShardId } from '../catalog/ids.ts';
import type { HashRange } from '../catalog/shard-for-hash.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/identifiers.ts';
import { retargetForeignKey } from '../sql/rewrite-relation.ts';
import { optionSql } from './option-sql.ts';
import { privilegesOfNew } from './privileges.ts';
import { publishShard } from './publications.ts';
import { renderBehaviour } from './render-behaviour.ts';
import { renderColumn, renderColumnSettings } from './render-column.ts';
import { hashConstraint, ShardNames } from './shard-names.ts';
import type { ConstraintDefinition, IndexDefinition, TableDefinition } from './table-definition.ts';

export interface ShardWish {
  readonly id: ShardId;
  /** SQL for the hash of the distribution column, and the hashes that belong here; undefined for reference tables and family murmur3. */
  readonly hash: { readonly sql: string; readonly range: HashRange } | undefined;
  /** The shard id of each table that a foreign key refers to, by OID. */
  readonly references: ReadonlyMap<number, ShardId>;
  /** Of CHECK constraints that the table has as a partition: the shard that they come from, whose name for them they keep. */
  readonly inherited?: ReadonlyMap<string, ShardId> | undefined;
}

/** The statements that make a shard. Rows are best loaded between the two halves: keys and indexes are then built once. */
export interface ShardStatements {
  readonly beforeRows: string[];
  /** Makes it a partition of its parent's shard: before what is in `afterRows` of either, or after it in both. */
  readonly attach: string[];
  /** Keys, indexes, constraints that the rows need not meet (NOT VALID), and what must not see them come: triggers, policies, privileges, publications. */
  readonly afterRows: string[];
  /** Come last: other shards have to have their keys. */
  readonly foreignKeys: string[];
}

/** Everything that the table has, under names that end in the shard's id. */
export function renderShard(table: TableDefinition, wish: ShardWish): ShardStatements {
  const shard = new ShardNames(table, wish.id, wish.inherited);
  const { references } = wish;
  const constraints = table.constraints ?? [];
  const early = constraints.filter((constraint) => constraint.kind === 'check' && constraint.validated);
  const late = constraints.filter((constraint) => !early.includes(constraint) && !isInColumn(constraint));
  // A foreign key may refer to a unique index of the same table.
  const foreign = late.filter(({ kind }) => kind === 'foreign');
  const indexes = table.indexes ?? [];
  return {
    beforeRows: [createTable(shard, table, { checks: early, hash: wish.hash }), ...table.columns.flatMap((column) => renderColumnSettings(shard.sql, column))],
    afterRows: [
      ...late.filter(({ kind }) => kind !== 'foreign').map((constraint) => addConstraint(shard, constraint, references)),
      ...indexes.filter(({ ofConstraint }) => !ofConstraint).map((index) => createIndex(shard, index)),
      ...indexes.flatMap((index) => attachIndexes(shard, index, references)),
      ...indexes.flatMap((index) => indexSettings(shard, index)),
      ...(table.replicaIdentity === 'd' ? [] : [replicaIdentity(table, shard)]),
      ...comments(table, shard, (constraint) => constraint.kind !== 'foreign'),
      ...(table.ownerReads ? [] : [`ALTER TABLE ${shard.sql} OWNER TO ${quoteIdentifier(table.owner)}`]),
      ...privilegesOfNew(table, shard),
      ...renderBehaviour(table, shard),
      ...publishShard(shard.sql, table),
    ],
    attach: attachPartition(table, shard, references),
    foreignKeys: foreign.flatMap((constraint) => [addConstraint(shard, constraint, references), ...comments({ ...noParts, constraints: [constraint] }, shard, () => true)]),
  };
}

const noParts = { comment: null, columns: [], indexes: [] } as const;

/** NOT NULL stands with its column, once it is validated. */
function isInColumn({ kind, validated }: ConstraintDefinition): boolean {
  return kind === 'not_null' && validated;
}

interface Checks {
  readonly checks: readonly ConstraintDefinition[];
  readonly hash: ShardWish['hash'];
}

function createTable(shard: ShardNames, table: TableDefinition, { checks, hash }: Checks): string {
  const parts = table.columns.map((column) => renderColumn(column, (name) => shard.part(name)));
  for (const check of checks) parts.push(`CONSTRAINT ${shard.constraint(check.name)} ${check.sql}`);
  if (hash !== undefined) parts.push(`CONSTRAINT ${shard.part(hashConstraint)} ${hashCheck(hash)}`);
  const key = table.partitionKey === null ? '' : ` PARTITION BY ${table.partitionKey}`;
  const unlogged = table.persistence === 'u' ? 'UNLOGGED ' : '';
  const method = table.accessMethod === null || table.accessMethod === 'heap' ? '' : ` USING ${quoteIdentifier(table.accessMethod)}`;
  return shard.wholeRows(`CREATE ${unlogged}TABLE ${shard.sql} (${parts.join(', ')})${key}${method}${storageOptions(table)}`);
}

export function hashCheck({ sql, range }: NonNullable<ShardWish['hash']>): string {
  return `CHECK (${sql} BETWEEN (${range.min}) AND (${range.max}))`;
}

/** The statement that makes the table a partition; none for others. */
export function attachPartition({ partitionOf }: TableDefinition, shard: ShardNames, references: ShardWish['references']): string[] {
  return partitionOf === null ? [] : [`ALTER TABLE ${shard.referenced(partitionOf.table, references)} ATTACH PARTITION ${shard.sql} ${partitionOf.bound}`];
}

function storageOptions(table: TableDefinition): string {
  const options = [
    ...(table.options ?? []).map(optionSql),
    ...(table.toastOptions ?? []).map((option) => `toast.${optionSql(option)}`),
  ];
  return options.length === 0 ? '' : ` WITH (${options.join(', ')})`;
}

export function addConstraint(shard: ShardNames, constraint: ConstraintDefinition, references: ShardWish['references']): string {
  return shard.wholeRows(`ALTER TABLE ${constraint.only ? 'ONLY ' : ''}${shard.sql} ADD CONSTRAINT ${shard.constraint(constraint.name)} ${constraintSql(shard, constraint, references)}`);
}

function constraintSql(shard: ShardNames, { sql, foreign }: ConstraintDefinition, references: ShardWish['references']): string {
  return foreign === null ? sql : retargetForeignKey(sql, foreign.table.sql, shard.referenced(foreign.table, references));
}

export function createIndex(shard: ShardNames, index: IndexDefinition, how: '' | 'CONCURRENTLY ' = ''): string {
  return shard.wholeRows(`CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${how}${shard.part(index.name)} ON ${index.parts === null ? '' : 'ONLY '}${shard.sql} ${index.sql}`);
}

/** Those of partitions, which are there before, become parts of one that is not valid, and does not take them by itself. */
export function attachIndexes(shard: ShardNames, { name, parts }: IndexDefinition, references: ShardWish['references']): string[] {
  const made = (parts ?? []).filter(({ table }) => shard.knows(table, references));
  return made.map((part) => `ALTER INDEX ${shard.index(name)} ATTACH PARTITION ${shard.referenced({ ...part.table, name: part.name }, references)}`);
}

/** A constraint's definition is silent about the options of its index. */
export function indexSettings(shard: ShardNames, index: IndexDefinition): string[] {
  const name = shard.index(index.name);
  const options = index.ofConstraint ? (index.options ?? []) : [];
  return [
    ...(options.length === 0 ? [] : [`ALTER INDEX ${name} SET (${options.map(optionSql).join(', ')})`]),
    ...indexStatistics(shard, index),
    ...(index.clustered ? [clusterOn(shard, index)] : []),
  ];
}

export function indexStatistics(shard: ShardNames, { name, statistics }: IndexDefinition): string[] {
  return (statistics ?? []).map(([place, target]) => `ALTER INDEX ${shard.index(name)} ALTER COLUMN ${place} SET STATISTICS ${target}`);
}

export function clusterOn(shard: ShardNames, { name }: IndexDefinition): string {
  return `ALTER TABLE ${shard.sql} CLUSTER ON ${shard.part(name)}`;
}

export function replicaIdentity(table: TableDefinition, shard: ShardNames): string {
  const index = table.indexes?.find((candidate) => candidate.replicaIdentity);
  const identities = { d: 'DEFAULT', n: 'NOTHING', f: 'FULL', i: `USING INDEX ${shard.part(index?.name ?? '')}` };
  return `ALTER TABLE ${shard.sql} REPLICA IDENTITY ${identities[table.replicaIdentity]}`;
}

type Commented = Pick<TableDefinition, 'comment' | 'columns' | 'constraints' | 'indexes'>;

function comments(table: Commented, shard: ShardNames, isMeant: (constraint: ConstraintDefinition) => boolean): string[] {
  const meant = { ...table, constraints: (table.constraints ?? []).filter(isMeant) };
  return commentTargets(meant, shard).flatMap(([target, comment]) => (comment === null ? [] : [`COMMENT ON ${target} IS ${quoteLiteral(comment)}`]));
}

/** All that can have a comment, and the comment. */
export function commentTargets(table: Commented, shard: ShardNames): (readonly [target: string, comment: string | null])[] {
  return [
    [`TABLE ${shard.sql}`, table.comment],
    ...table.columns.map(({ name, comment }) => [`COLUMN ${shard.sql}.${quoteIdentifier(name)}`, comment] as const),
    ...(table.constraints ?? []).map(({ name, comment }) => [`CONSTRAINT ${shard.constraint(name)} ON ${shard.sql}`, comment] as const),
    ...(table.indexes ?? []).map(({ name, comment }) => [`INDEX ${shard.index(name)}`, comment] as const),
  ];
}

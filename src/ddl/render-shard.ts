import { present } from '../base/assert.ts';
import type { ShardId } from '../catalog/ids.ts';
import type { HashRange } from '../catalog/shard-for-hash.ts';
import { shardName } from '../catalog/shard-name.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../sql/identifiers.ts';
import { retargetForeignKey } from '../sql/rewrite-relation.ts';
import { optionSql } from './option-sql.ts';
import { privilegesOfNew } from './privileges.ts';
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
}

/** The statements that make a shard. Rows are best loaded between the two halves: keys and indexes are then built once. */
export interface ShardStatements {
  readonly beforeRows: string[];
  /** Keys, indexes, foreign keys, and constraints that the rows need not meet (NOT VALID). */
  readonly afterRows: string[];
}

/** Everything that the table has, under names that end in the shard's id. */
export function renderShard(table: TableDefinition, wish: ShardWish): ShardStatements {
  const shard = new ShardNames(table, wish.id);
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
      ...indexes.flatMap((index) => indexSettings(shard, index)),
      ...foreign.map((constraint) => addConstraint(shard, constraint, references)),
      ...(table.replicaIdentity === 'd' ? [] : [replicaIdentity(table, shard)]),
      ...comments(table, shard),
      ...privilegesOfNew(table, shard),
      ...renderBehaviour(table, shard),
    ],
  };
}

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
  for (const check of checks) parts.push(`CONSTRAINT ${shard.part(check.name)} ${check.sql}`);
  if (hash !== undefined) {
    const { sql, range } = hash;
    parts.push(`CONSTRAINT ${shard.part(hashConstraint)} CHECK (${sql} BETWEEN (${range.min}) AND (${range.max}))`);
  }
  const unlogged = table.persistence === 'u' ? 'UNLOGGED ' : '';
  const method = table.accessMethod === null || table.accessMethod === 'heap' ? '' : ` USING ${quoteIdentifier(table.accessMethod)}`;
  return shard.wholeRows(`CREATE ${unlogged}TABLE ${shard.sql} (${parts.join(', ')})${method}${storageOptions(table)}`);
}

function storageOptions(table: TableDefinition): string {
  const options = [
    ...(table.options ?? []).map(optionSql),
    ...(table.toastOptions ?? []).map((option) => `toast.${optionSql(option)}`),
  ];
  return options.length === 0 ? '' : ` WITH (${options.join(', ')})`;
}

export function addConstraint(shard: ShardNames, constraint: ConstraintDefinition, references: ShardWish['references']): string {
  return shard.wholeRows(`ALTER TABLE ${shard.sql} ADD CONSTRAINT ${shard.part(constraint.name)} ${constraintSql(shard, constraint, references)}`);
}

function constraintSql(shard: ShardNames, { sql, foreign }: ConstraintDefinition, references: ShardWish['references']): string {
  if (foreign === null) return sql;
  const { table } = foreign;
  const id = table.oid === shard.table.oid ? shard.id : present(references.get(table.oid), `shard of ${table.name}`);
  return retargetForeignKey(sql, table.sql, quoteQualified(table.schema, shardName(table.name, id)));
}

export function createIndex(shard: ShardNames, index: IndexDefinition, how: '' | 'CONCURRENTLY ' = ''): string {
  return shard.wholeRows(`CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${how}${shard.part(index.name)} ON ${shard.sql} ${index.sql}`);
}

/** A constraint's definition is silent about the options of its index. */
export function indexSettings(shard: ShardNames, index: IndexDefinition): string[] {
  const name = shard.index(index.name);
  const options = index.ofConstraint ? (index.options ?? []) : [];
  return [
    ...(options.length === 0 ? [] : [`ALTER INDEX ${name} SET (${options.map(optionSql).join(', ')})`]),
    ...(index.statistics ?? []).map(([place, target]) => `ALTER INDEX ${name} ALTER COLUMN ${place} SET STATISTICS ${target}`),
    ...(index.clustered ? [`ALTER TABLE ${shard.sql} CLUSTER ON ${shard.part(index.name)}`] : []),
  ];
}

export function replicaIdentity(table: TableDefinition, shard: ShardNames): string {
  const index = table.indexes?.find((candidate) => candidate.replicaIdentity);
  const identities = { d: 'DEFAULT', n: 'NOTHING', f: 'FULL', i: `USING INDEX ${shard.part(index?.name ?? '')}` };
  return `ALTER TABLE ${shard.sql} REPLICA IDENTITY ${identities[table.replicaIdentity]}`;
}

function comments(table: TableDefinition, shard: ShardNames): string[] {
  return commentTargets(table, shard).flatMap(([target, comment]) => (comment === null ? [] : [`COMMENT ON ${target} IS ${quoteLiteral(comment)}`]));
}

/** All that can have a comment, and the comment. */
export function commentTargets(table: TableDefinition, shard: ShardNames): (readonly [target: string, comment: string | null])[] {
  return [
    [`TABLE ${shard.sql}`, table.comment],
    ...table.columns.map(({ name, comment }) => [`COLUMN ${shard.sql}.${quoteIdentifier(name)}`, comment] as const),
    ...(table.constraints ?? []).map(({ name, comment }) => [`CONSTRAINT ${shard.part(name)} ON ${shard.sql}`, comment] as const),
    ...(table.indexes ?? []).map(({ name, comment }) => [`INDEX ${shard.index(name)}`, comment] as const),
  ];
}

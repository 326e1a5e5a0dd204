import { renderShard } from '../ddl/render-shard.ts';
import { unpublished } from '../ddl/publications.ts';
import type { TableDefinition } from '../ddl/table-definition.ts';
import { optionSql } from '../ddl/option-sql.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../sql/identifiers.ts';
import { nameBytesMax, shardName } from '../catalog/shard-name.ts';
import { hasRows, type TargetShard } from './moved-tables.ts';

/**
 * The statements that make a shard on the node that it moves to, in parts. It is made in a schema of the move's own, where no statement looks for it, and put into
 * its place at the end: SET SCHEMA takes along indexes and constraints, whose names are therefore the final ones from the beginning.
 */
export interface TargetStatements {
  readonly create: readonly string[];
  /** When all tables are made: makes it a partition of another. */
  readonly attach: readonly string[];
  /** Keys, indexes and all else that is best made when rows are there, but for foreign keys, triggers and row security. */
  readonly complete: readonly string[];
  /** At the cut-over: brings the shard to its place. */
  readonly putInPlace: readonly string[];
  /**
   * Then, when all shards of the group are there. Foreign keys are not checked against the rows that are there, which met them where they come from; they hold for all changes from then on. While changes
   * are applied there are none: a row would be looked for that comes later, and what ON DELETE does would be done twice. So would what triggers do.
   */
  readonly bringToLife: readonly string[];
  /** Later, beside other work, partitions first: marks the foreign keys as valid. */
  readonly validate: readonly string[];
}

export function renderTarget(table: TargetShard, staging: string): TargetStatements {
  const { definition, wish, name } = table;
  const constraints = definition.constraints ?? [];
  const quiet = { triggers: null, policies: null, publications: null, rowSecurity: false, rowSecurityForced: false };
  const partitionOf = definition.partitionOf === null ? null : { ...definition.partitionOf, table: { ...definition.partitionOf.table, schema: staging } };
  // It becomes another's at the cut-over: until then its owner alone could give it triggers, which would run with the rights of our role.
  const ours = definition.ownerReads ? {} : { ownerReads: true, grants: null, columns: definition.columns.map((column) => ({ ...column, grants: null })) };
  const indexes = (definition.indexes ?? []).map((index) => ({ ...index, parts: index.parts?.map((part) => ({ ...part, table: { ...part.table, schema: staging } })) ?? null }));
  const staged = renderShard({ ...definition, ...ours, ...quiet, partitionOf, indexes, schema: staging, constraints: constraints.filter(({ kind }) => kind !== 'foreign') }, wish);
  const sql = quoteQualified(staging, name);
  return {
    // Autovacuum would hold a lock for which the cut-over had to wait.
    create: [...staged.beforeRows, ...(hasRows({ definition }) ? [`ALTER TABLE ${sql} SET (autovacuum_enabled = false, toast.autovacuum_enabled = false)`] : [])],
    attach: staged.attach,
    complete: staged.afterRows,
    putInPlace: [
      ...(Buffer.byteLength(name) < nameBytesMax ? [`ALTER TABLE ${sql} SET SCHEMA ${quoteIdentifier(definition.schema)}`] : byAnotherName(table, sql, staging)),
      ...(hasRows({ definition }) ? [`ALTER TABLE ${table.sql} RESET (autovacuum_enabled, toast.autovacuum_enabled)`, ...ownVacuumOptions(table)] : []),
    ],
    bringToLife: liveParts(table),
    validate: hasRows({ definition })
      ? constraints.filter(({ kind, validated }) => kind === 'foreign' && validated).map((constraint) => `ALTER TABLE ${table.sql} VALIDATE CONSTRAINT ${quoteIdentifier(shardName(constraint.name, wish.id))}`)
      : ownForeignKeys(table),
  };
}

/** A partitioned table's foreign keys cannot be made NOT VALID. Its partitions have them since the cut-over, and when those are valid it takes them for its own, without looking at rows. */
function ownForeignKeys({ definition, wish, sql }: TargetShard): string[] {
  const foreign = (definition.constraints ?? []).filter(({ kind }) => kind === 'foreign');
  return foreign.flatMap((constraint) => {
    const [add = '', ...comments] = renderShard({ ...definition, constraints: [constraint] }, wish).foreignKeys;
    const there = `SELECT FROM pg_constraint WHERE conrelid = ${quoteLiteral(sql)}::regclass AND conname = ${quoteLiteral(shardName(constraint.name, wish.id))}`;
    return [`DO ${quoteLiteral(`BEGIN IF NOT EXISTS (${there}) THEN ${add}; END IF; END`)}`, ...comments];
  });
}

/**
 * PostgreSQL calls the type of a table's arrays `_name`. Of a name as long as can be it cuts off the last digit of the shard's id, so shards next to each other come into conflict. RENAME makes another
 * name for such a type; SET SCHEMA does not.
 */
function byAnotherName({ definition: { schema }, wish, name }: TargetShard, sql: string, staging: string): string[] {
  const passing = `shardwright_${wish.id}`;
  return [
    `ALTER TABLE ${sql} RENAME TO ${passing}`,
    `ALTER TABLE ${quoteQualified(staging, passing)} SET SCHEMA ${quoteIdentifier(schema)}`,
    `ALTER TABLE ${quoteQualified(schema, passing)} RENAME TO ${quoteIdentifier(name)}`,
  ];
}

function ownVacuumOptions({ definition, sql }: TargetShard): string[] {
  const isVacuum = (option: string): boolean => option.startsWith('autovacuum_enabled=');
  const own = [
    ...(definition.options ?? []).filter(isVacuum).map(optionSql),
    ...(definition.toastOptions ?? []).filter(isVacuum).map((option) => `toast.${optionSql(option)}`),
  ];
  return own.length === 0 ? [] : [`ALTER TABLE ${sql} SET (${own.join(', ')})`];
}

/** Foreign keys, triggers, row security and publications: what must not meet changes that are applied, since it did where they were made. And another owner, with all privileges. A reference table is copied to a node that is added, which does not publish it. */
function liveParts({ definition, wish }: TargetShard): readonly string[] {
  const foreign = hasRows({ definition }) ? (definition.constraints ?? []).filter(({ kind }) => kind === 'foreign') : [];
  const constraints = foreign.map((constraint) => (constraint.validated ? { ...constraint, sql: `${constraint.sql} NOT VALID` } : constraint));
  const columns = definition.columns.map((column) => ({ ...column, comment: null, grants: definition.ownerReads ? null : column.grants }));
  const grants = definition.ownerReads ? null : definition.grants;
  const bare: TableDefinition = { ...definition, columns, constraints, indexes: null, comment: null, grants, statistics: null, replicaIdentity: 'd' };
  const { afterRows, foreignKeys } = renderShard(definition.distribution?.kind === 'reference' ? unpublished(bare) : bare, wish);
  return [...foreignKeys, ...afterRows];
}

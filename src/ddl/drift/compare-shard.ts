import { quoteIdentifier } from '../../sql/identifiers.ts';
import { columnList } from '../column-list.ts';
import { ensureSchema } from '../on-nodes.ts';
import { renderShard, type ShardWish } from '../render-shard.ts';
import { hashConstraint, ShardNames } from '../shard-names.ts';
import type { TableDefinition } from '../table-definition.ts';
import { columnParts } from './column-parts.ts';
import { constraintKey, constraintParts, indexParts } from './constraint-parts.ts';
import { compareHashCheck } from './hash-check.ts';
import { OwnNames } from './own-names.ts';
import { compareParts, type Part, type PartDifference } from './part.ts';
import { comparePrivileges } from './compare-privileges.ts';
import type { Subject } from './subject.ts';
import { behaviourParts, commentParts, ownerPart, publicationParts, storageParts } from './table-parts.ts';

/**
 * What a shard has otherwise than its table, with the statements that repair it, to be run one after the other. `shard` is undefined where there is none. Names of
 * NOT NULL constraints are not compared.
 */
export function compareShard(table: TableDefinition, wish: ShardWish, shard: TableDefinition | undefined): PartDifference[] {
  const expected = { table: withoutSequences(table), names: new ShardNames(table, wish.id, wish.inherited), references: wish.references };
  if (shard === undefined) return [missingShard(expected.table, wish)];
  const found = { table: withoutReads(shard), names: new OwnNames(shard, wish.id), references: wish.references };
  const differences = compareParts(partsOf(expected), partsOf(found, expected.names.part(hashConstraint)));
  const hash = wish.hash === undefined ? undefined : compareHashCheck(expected.names, shard, wish.hash);
  return [...differences, ...comparePrivileges(expected, shard), ...(hash === undefined ? [] : [hash]), ...columnOrder(expected, wish, shard)];
}

/** What a shard's policies read has the names that it has on the node. */
function withoutReads(shard: TableDefinition): TableDefinition {
  return { ...shard, policies: (shard.policies ?? []).map((policy) => ({ ...policy, reads: null })) };
}

/** Sequences are the coordinator database's. */
function withoutSequences(table: TableDefinition): TableDefinition {
  const columns = table.columns.map((column) => (column.usesSequence && column.generated === null ? { ...column, expression: null, identity: null, usesSequence: false } : column));
  return { ...table, columns };
}

function partsOf(subject: Subject, without?: string): Part[] {
  const indexes = indexParts(subject);
  const parts = [
    ...storageParts(subject), ...columnParts(subject), ...indexes.filter(({ within }) => within === undefined), ...constraintParts(subject), ...indexes.filter(({ within }) => within !== undefined),
    ...behaviourParts(subject), ...commentParts(subject), ownerPart(subject), ...publicationParts(subject),
  ];
  return without === undefined ? parts : parts.filter(({ key }) => key !== constraintKey(without));
}

function missingShard(table: TableDefinition, wish: ShardWish): PartDifference {
  const { beforeRows, attach, afterRows, foreignKeys } = renderShard(table, wish);
  return { what: 'shard', expected: 'a table', found: undefined, repair: [ensureSchema(table), ...beforeRows, ...afterRows, ...foreignKeys, ...attach] };
}

/** `SELECT *` gives columns in the order that they have. It can only be changed by making the shard anew. */
function columnOrder({ table, names }: Subject, wish: ShardWish, shard: TableDefinition): PartDifference[] {
  const [expected, found] = [table, shard].map(({ columns }) => columns.map(({ name }) => quoteIdentifier(name)));
  if (expected === undefined || found === undefined || expected.join() === found.join() || [...expected].sort().join() !== [...found].sort().join()) return [];
  const { beforeRows, attach, afterRows, foreignKeys } = renderShard(table, wish);
  const columns = columnList(table);
  const repair = [
    `CREATE TEMP TABLE shardwright_rows ON COMMIT DROP AS SELECT ${columns} FROM ${names.sql}`, `DROP TABLE ${names.sql} CASCADE`, ...beforeRows,
    `INSERT INTO ${names.sql} (${columns}) SELECT ${columns} FROM pg_temp.shardwright_rows`, ...afterRows, ...foreignKeys, ...attach,
  ];
  return [{ what: 'order of columns', expected: expected.join(', '), found: found.join(', '), repair: table.partitionKey === null ? repair : [] }];
}

import { ClusterError } from '../base/errors.ts';
import { distributionType } from '../catalog/hash/distribution-type.ts';
import type { DistributionType } from '../catalog/hash/distribution-type.ts';
import { unsupportedTable } from './check-table.ts';
import type { ColumnDefinition, ConstraintDefinition, TableDefinition } from './table-definition.ts';

export interface DistributionColumn {
  readonly column: ColumnDefinition;
  readonly type: DistributionType;
}

/**
 * The column by name (case as stored, or folded when there is no such column), fit to distribute by: `undefinedColumn`, or
 * `unsupportedTable` when its type will not do or a unique constraint lacks it.
 */
export function checkDistributionColumn(table: TableDefinition, name: string): DistributionColumn {
  const column = findColumn(table, name);
  const type = checkType(table, column);
  checkUniqueness(table, column);
  return { column, type };
}

function findColumn(table: TableDefinition, name: string): ColumnDefinition {
  const exact = table.columns.find((column) => column.name === name);
  const found = exact ?? table.columns.find((column) => column.name === foldedName(name));
  if (found !== undefined) return found;
  throw new ClusterError('undefinedColumn', `column "${name}" of relation "${table.name}" does not exist`, {
    schema: table.schema,
    table: table.name,
    column: name,
  });
}

/** As SQL reads an identifier. */
function foldedName(name: string): string {
  const quoted = /^"((?:[^"]|"")*)"$/.exec(name);
  return quoted?.[1] === undefined ? name.toLowerCase() : quoted[1].replaceAll('""', '"');
}

function checkType(table: TableDefinition, column: ColumnDefinition): DistributionType {
  if (column.generated !== null) {
    throw unsupportedTable(table, {
      message: `distribution column "${column.name}" is generated`,
      hint: 'Its value is only known after the row was placed. Choose a column of which it is made.',
    });
  }
  if (!column.deterministic) {
    throw unsupportedTable(table, {
      message: `distribution column "${column.name}" has a nondeterministic collation`,
      detail: 'Values that are equal under such a collation need not have equal hashes.',
      hint: 'Give the column a deterministic collation, or distribute by another column.',
    });
  }
  const type = distributionType(column.typeName);
  if (type !== undefined) return type;
  throw unsupportedTable(table, {
    message: `distribution column "${column.name}" is of type ${column.type}`,
    detail: 'Values of this type have no hash that is the same on every server.',
    hint: 'Distribute by a column of type bigint, integer, text, varchar, uuid, date, timestamp, numeric or another built-in scalar type.',
  });
}

/** A node can only see to uniqueness within its own shards; so rows that could be duplicates must be in one shard. */
function checkUniqueness(table: TableDefinition, column: ColumnDefinition): void {
  const constraint = table.constraints?.find((candidate) => !isKeptByShards(candidate, column));
  if (constraint !== undefined) throw uniqueWithout(table, column, `${kindNames[constraint.kind]} "${constraint.name}"`);
  const index = table.indexes?.find(({ unique, ofConstraint, columns }) => unique && !ofConstraint && !columns.includes(column.position));
  if (index !== undefined) throw uniqueWithout(table, column, `unique index "${index.name}"`);
}

function isKeptByShards({ kind, columns, equalities }: ConstraintDefinition, column: ColumnDefinition): boolean {
  const place = columns?.indexOf(column.position) ?? -1;
  if (kind === 'primary' || kind === 'unique') return place >= 0 && equalities?.[place] !== false;
  if (kind === 'exclude') return place >= 0 && equalities?.[place] === true;
  return true;
}

const kindNames: Readonly<Record<ConstraintDefinition['kind'], string>> = {
  primary: 'primary key',
  unique: 'unique constraint',
  exclude: 'exclusion constraint',
  check: 'check constraint',
  foreign: 'foreign key',
  not_null: 'not-null constraint',
};

function uniqueWithout(table: TableDefinition, column: ColumnDefinition, what: string): ClusterError {
  return unsupportedTable(table, {
    message: `${what} does not contain the distribution column "${column.name}"`,
    detail: 'Rows with equal keys could be on different nodes, where none would notice. In an exclusion constraint the column must be compared with "=".',
    hint: `Add "${column.name}" to the ${what.split(' "')[0]}, or distribute by one of its columns.`,
  });
}

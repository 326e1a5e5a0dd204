import type { ShardId } from '../../catalog/ids.ts';
import type { Conversion } from '../../plan/ddl/definition-plan.ts';
import type { ColumnDefinition, ConstraintDefinition, IndexDefinition, TableDefinition } from '../table-definition.ts';

/** What a statement has made of one table: its shards are as `before`, and are to be as `after`. */
export interface TableChange {
  readonly before: TableDefinition;
  readonly after: TableDefinition;
  /** ALTER COLUMN … TYPE, by the column's name. */
  readonly conversions: ReadonlyMap<string, Conversion>;
  /** Constraints that the statement adds by name. */
  readonly addedConstraints: ReadonlySet<string>;
  /** What the rows that are there get in columns that are added, by position. Absent: what the column's own expression gives each row. */
  readonly fillings: ReadonlyMap<number, Filling>;
  /** Of a partition that stays one: what has become of the table above, which hands down much of it. */
  readonly above?: TableChange | undefined;
}

/** SQL for what the rows of a shard get: a literal, or something that gives each row a value of its own. */
export type Filling = (shard: ShardId) => string;

/** Parts of a table that are known by an OID and a name. */
interface Part {
  readonly oid: number;
  readonly name: string;
}

export interface Matched<T> {
  readonly gone: readonly T[];
  readonly added: readonly T[];
  readonly kept: readonly { readonly from: T; readonly to: T }[];
}

/** Parts of one OID are the same; so are those of one name which `isSame`, since PostgreSQL makes some anew to change a column's type. */
export function matchParts<T extends Part>(before: readonly T[], after: readonly T[], isSame: (from: T, to: T) => boolean): Matched<T> {
  if (before.length === 0 && after.length === 0) return { gone: [], added: [], kept: [] };
  const was = new Map(before.map((part) => [part.oid, part]));
  const kept = after.flatMap((to) => {
    const from = was.get(to.oid) ?? before.find((candidate) => candidate.name === to.name && isSame(candidate, to));
    return from === undefined ? [] : [{ from, to }];
  });
  const [stays, isThere] = [new Set(kept.map(({ from }) => from)), new Set(kept.map(({ to }) => to))];
  return { gone: before.filter((part) => !stays.has(part)), added: after.filter((part) => !isThere.has(part)), kept };
}

/** Each shard asks several times. */
const matchedColumns = new WeakMap<TableChange, Matched<ColumnDefinition>>();

/** A column is known by its position. */
export function matchColumns(change: TableChange): Matched<ColumnDefinition> {
  const known = matchedColumns.get(change) ?? newlyMatchedColumns(change);
  matchedColumns.set(change, known);
  return known;
}

function newlyMatchedColumns({ before, after }: TableChange): Matched<ColumnDefinition> {
  const [was, is] = [columnsByPosition(before), columnsByPosition(after)];
  return {
    gone: before.columns.filter(({ position }) => !is.has(position)),
    added: after.columns.filter(({ position }) => !was.has(position)),
    kept: after.columns.flatMap((to) => {
      const from = was.get(to.position);
      return from === undefined ? [] : [{ from, to }];
    }),
  };
}

function columnsByPosition({ columns }: TableDefinition): Map<number, ColumnDefinition> {
  return new Map(columns.map((column) => [column.position, column]));
}

/** Where a column's type changes, PostgreSQL makes its constraints and indexes anew, on shards as on the shell. */
function isRebuilt(change: TableChange): boolean {
  return change.conversions.size > 0;
}

export function matchConstraints(change: TableChange): Matched<ConstraintDefinition> {
  const isSame = (from: ConstraintDefinition, to: ConstraintDefinition): boolean =>
    from.kind === to.kind && (isRebuilt(change) ? !change.addedConstraints.has(to.name) : from.sql === to.sql);
  return matchParts(change.before.constraints ?? [], change.after.constraints ?? [], isSame);
}

/** Those that belong to no constraint, or do not any more, or belong to one only from now on. */
export function matchIndexes(change: TableChange): Matched<IndexDefinition> {
  const isSame = (from: IndexDefinition, to: IndexDefinition): boolean => isRebuilt(change) || from.sql === to.sql;
  const { gone, added, kept } = matchParts(change.before.indexes ?? [], change.after.indexes ?? [], isSame);
  return { gone: gone.filter(({ ofConstraint }) => !ofConstraint), added: added.filter(({ ofConstraint }) => !ofConstraint), kept };
}

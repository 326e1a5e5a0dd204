import type { Column } from '../../catalog/catalog-snapshot.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { Template } from '../../sql/template.ts';
import type { InsertRow, TargetHole, ValueSlot } from './insert-plan.ts';

export interface ArrayColumn {
  /** Quoted. */
  readonly name: string;
  /** `pg_catalog.int8` */
  readonly elementType: string;
  /** The value is the column's own default, the same for all rows of a statement: a server that gets all of them makes it itself. */
  readonly leavable: boolean;
}

/**
 * Rows whose values are sent one by one, nothing else: `SELECT … FROM unnest($1::int8[], $2::text[])` inserts the same as VALUES does, by a text
 * that is the same for any number of rows. So servers can keep it prepared.
 */
export interface ArrayRows {
  /** Up to the list of columns. */
  readonly head: Template<TargetHole>;
  /** `OVERRIDING SYSTEM VALUE`, or empty. */
  readonly overriding: string;
  readonly columns: readonly ArrayColumn[];
  /** A slot per column. */
  readonly rows: readonly (readonly ValueSlot[])[];
  /** What stands behind the rows. */
  readonly tail: Template<TargetHole>;
}

export interface ArrayInput extends Pick<ArrayRows, 'head' | 'overriding'> {
  readonly given: readonly Column[];
  /** Columns with a computed default, behind the given ones. */
  readonly added: readonly Column[];
}

/** Undefined where values stand in the tail, or a type is not one of PostgreSQL's own that arrays can carry: no arrays, and none that a user has made. */
export function arrayRows(rows: readonly InsertRow[], { parts }: Template<TargetHole | ValueSlot>, { head, overriding, given, added }: ArrayInput): ArrayRows | undefined {
  const columns = [...given.map((column) => arrayColumn(column, false)), ...added.map((column) => arrayColumn(column, true))].filter((column) => column !== undefined);
  const slots = rows.map(({ template }) => template.parts.filter((part) => typeof part !== 'string'));
  const tail = parts.filter((part): part is string | TargetHole => typeof part === 'string' || part.kind === 'target' || part.kind === 'constraint');
  const isWhole = columns.length === given.length + added.length && tail.length === parts.length && slots.every((row) => row.length === columns.length);
  return isWhole ? { head, overriding, columns, rows: slots, tail: { parts: tail } } : undefined;
}

function arrayColumn({ name, type, default: value }: Column, isAdded: boolean): ArrayColumn | undefined {
  const elementType = elementTypes.get(type.oid);
  const leavable = isAdded && value?.kind === 'expression' && value.volatility === 'stable' && value.ofCoordinator !== true;
  return elementType === undefined ? undefined : { name: quoteIdentifier(name), elementType: `pg_catalog.${elementType}`, leavable };
}

/** By OID. A length that belongs to the column's type is checked when the value is assigned, as it is with VALUES. */
const elementTypes: ReadonlyMap<number, string> = new Map([
  [16, 'bool'], [20, 'int8'], [21, 'int2'], [23, 'int4'], [25, 'text'], [114, 'json'], [700, 'float4'], [701, 'float8'], [869, 'inet'],
  [1042, 'bpchar'], [1043, 'varchar'], [1082, 'date'], [1083, 'time'], [1114, 'timestamp'], [1184, 'timestamptz'], [1700, 'numeric'],
  [2950, 'uuid'], [3802, 'jsonb'],
]);

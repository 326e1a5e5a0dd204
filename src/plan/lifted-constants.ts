import type { A_Const, A_Expr, InsertStmt, Node, RangeVar, SelectStmt, TypeName, UpdateStmt } from '@pgsql/types';
import type { RelationNames } from '../analyze/relation-names.ts';
import type { CatalogTable, Column } from '../catalog/catalog-snapshot.ts';
import { builtinName, conjuncts, nameParts, relationAlias } from '../sql/ast.ts';
import type { Literal } from '../sql/literal-shape.ts';
import type { Statement } from '../sql/parse.ts';
import { isPlainValue } from '../sql/values/plain-value.ts';
import { typeOid } from '../sql/values/type-oid.ts';

/** A constant of a statement in whose place a parameter means the same, for each value that it takes. */
export interface LiftedConstant {
  /** Among the literals of the text. */
  readonly literal: number;
  /** So many characters before the literal its sign stands; 0 for none. */
  readonly signLength: number;
  /** Whether the parameter has this value surely, without an error that the constant would not have or would have elsewhere in the text. */
  readonly takes: (value: string) => boolean;
}

/**
 * The constants that may be parameters, in order. A parameter takes the type of what it meets, as a string of no type does: that of a column of which it is compared, assigned or added. So these are lifted:
 *
 * - `column = constant`, also with another comparison, and AND-ed such, in the WHERE of a query or write: a string; an integer that is compared with an integer column, a decimal with a numeric one. (PostgreSQL compares integers of
 *   different sizes as one would expect, so the size of the column will do, if the value fits.)
 * - values of an INSERT of one row, and those of SET: of strings and numbers what is assigned without being changed.
 * - `SET column = column + constant` of integers, where the sum has the column's type either way.
 *
 * - in place of such a constant also `'…'::type`, where the cast alone says what the parameter is.
 *
 * All others stay in the text: `LIMIT`, positions in ORDER BY, arguments of functions, other casts, and what stands in subqueries.
 */
export function liftedConstants({ node, source, text }: Statement, literals: readonly Literal[], names: RelationNames): LiftedConstant[] {
  const places = placesIn(node, names).flatMap(({ constant, cast, column, use }): LiftedConstant[] => {
    const start = source.index(constant.location ?? 0);
    const literal = literals.findIndex(({ end }) => end > start);
    const found = literals[literal];
    if (found === undefined) return [];
    const sign = text.slice(start, found.start);
    const isSigned = /^-\s*$/.test(sign);
    if ((sign !== '' && !isSigned) || !(cast === undefined ? isAlike(found.kind, column, use) : isCastAlike(found.kind, cast, column, use))) return [];
    const oid = cast ?? column.type.oid;
    return [{ literal, signLength: sign.length, takes: (value) => isValue(found.kind, value, oid) && (use !== 'assigned' || fits(value, column)) }];
  });
  return places.sort((one, other) => one.literal - other.literal);
}

/** A constant, and the column that it meets. */
interface Place {
  readonly constant: A_Const;
  /** The OID of the type that it is cast to. */
  readonly cast?: number | undefined;
  readonly column: Column;
  readonly use: 'compared' | 'assigned' | 'added';
}

function placesIn(node: Node, names: RelationNames): Place[] {
  if ('SelectStmt' in node) return placesOfSelect(node.SelectStmt, names);
  if ('InsertStmt' in node) return placesOfInsert(node.InsertStmt, names);
  if ('UpdateStmt' in node && node.UpdateStmt.fromClause === undefined && node.UpdateStmt.withClause === undefined) return placesOfUpdate(node.UpdateStmt, names);
  if ('DeleteStmt' in node && node.DeleteStmt.usingClause === undefined && node.DeleteStmt.withClause === undefined) {
    return compared(node.DeleteStmt.whereClause, new TablesInSight([node.DeleteStmt.relation], names));
  }
  return [];
}

function placesOfSelect({ op, withClause, intoClause, fromClause = [], whereClause }: SelectStmt, names: RelationNames): Place[] {
  if (withClause !== undefined || intoClause !== undefined || (op !== undefined && op !== 'SETOP_NONE')) return [];
  return compared(whereClause, new TablesInSight(fromClause.flatMap(relationsIn), names));
}

/** `undefined` for what is no table, or hides the names of tables. */
function relationsIn(item: Node): (RangeVar | undefined)[] {
  if ('RangeVar' in item) return [item.RangeVar];
  if (!('JoinExpr' in item) || item.JoinExpr.alias !== undefined) return [undefined];
  return [item.JoinExpr.larg, item.JoinExpr.rarg].flatMap((side) => (side === undefined ? [undefined] : relationsIn(side)));
}

function placesOfInsert({ relation, cols, selectStmt, withClause }: InsertStmt, names: RelationNames): Place[] {
  const table = new TablesInSight([relation], names).only;
  const values = selectStmt !== undefined && 'SelectStmt' in selectStmt ? selectStmt.SelectStmt : undefined;
  const [row] = values?.valuesLists ?? [];
  if (table === undefined || withClause !== undefined || values?.valuesLists?.length !== 1 || row === undefined || !('List' in row)) return [];
  if (values.withClause !== undefined || values.sortClause !== undefined || values.limitCount !== undefined || values.limitOffset !== undefined) return [];
  const columns = cols === undefined ? inOrder(table) : cols.map((col) => ('ResTarget' in col && col.ResTarget.indirection === undefined ? columnOf(table, col.ResTarget.name) : undefined));
  return (row.List.items ?? []).flatMap((item, i) => assigned(item, columns[i]));
}

function inOrder({ columns }: CatalogTable): readonly Column[] {
  return [...columns].sort((one, other) => one.position - other.position);
}

function placesOfUpdate({ relation, targetList = [], whereClause }: UpdateStmt, names: RelationNames): Place[] {
  const tables = new TablesInSight([relation], names);
  const { only } = tables;
  if (only === undefined) return [];
  const set = targetList.flatMap((target) => {
    if (!('ResTarget' in target) || target.ResTarget.indirection !== undefined) return [];
    const { name, val } = target.ResTarget;
    const column = columnOf(only, name);
    return [...assigned(val, column), ...added(val, column, tables)];
  });
  return [...set, ...compared(whereClause, tables)];
}

function assigned(value: Node | undefined, column: Column | undefined): Place[] {
  const constant = constantIn(value);
  return constant !== undefined && column !== undefined ? [{ ...constant, column, use: 'assigned' }] : [];
}

function constantIn(value: Node | undefined): Pick<Place, 'constant' | 'cast'> | undefined {
  if (value === undefined) return undefined;
  if ('A_Const' in value) return { constant: value.A_Const };
  if (!('TypeCast' in value)) return undefined;
  const { arg, typeName } = value.TypeCast;
  if (arg === undefined || !('A_Const' in arg) || typeName === undefined) return undefined;
  // In `date '…'` no parameter can stand.
  const isBehind = (typeName.location ?? 0) > (arg.A_Const.location ?? 0);
  const cast = isBehind ? castType(typeName) : undefined;
  return cast === undefined ? undefined : { constant: arg.A_Const, cast };
}

/** Types of `pg_catalog`, which is looked at first, by the names that the grammar gives them. */
function castType({ names, typmods, arrayBounds, setof, pct_type }: TypeName): number | undefined {
  const name = builtinName(names);
  if (typmods !== undefined || arrayBounds !== undefined || setof === true || pct_type === true || name === undefined) return undefined;
  return castTypes.get(name);
}

/** `column = column + 1`, the same column. */
function added(value: Node | undefined, column: Column | undefined, tables: TablesInSight): Place[] {
  if (value === undefined || !('A_Expr' in value) || !isOperator(value.A_Expr, sums)) return [];
  const { lexpr, rexpr } = value.A_Expr;
  if (rexpr === undefined || !('A_Const' in rexpr) || column === undefined || tables.columnOf(lexpr) !== column) return [];
  return [{ constant: rexpr.A_Const, column, use: 'added' }];
}

function compared(condition: Node | undefined, tables: TablesInSight): Place[] {
  return conjuncts(condition).flatMap((one): Place[] => {
    if (!('A_Expr' in one) || !isOperator(one.A_Expr, comparisons)) return [];
    const sides = [one.A_Expr.lexpr, one.A_Expr.rexpr];
    const constant = sides.map(constantIn).find((found) => found !== undefined);
    const column = sides.map((side) => tables.columnOf(side)).find((found) => found !== undefined);
    return constant !== undefined && column !== undefined ? [{ ...constant, column, use: 'compared' }] : [];
  });
}

const comparisons: ReadonlySet<string> = new Set(['=', '<>', '<', '>', '<=', '>=']);
const sums: ReadonlySet<string> = new Set(['+', '-']);

function isOperator({ kind, name }: A_Expr, operators: ReadonlySet<string>): boolean {
  const parts = nameParts(name);
  return kind === 'AEXPR_OP' && parts.length === 1 && operators.has(parts[0] ?? '');
}

/** The tables whose columns a statement's own level can name; none, if what it names may be something else's. */
class TablesInSight {
  readonly #tables = new Map<string, CatalogTable>();

  constructor(relations: readonly (RangeVar | undefined)[], names: RelationNames) {
    for (const relation of relations) {
      const table = relation === undefined || relation.catalogname !== undefined || relation.alias?.colnames !== undefined ? undefined : names.resolve(relation.schemaname, relation.relname ?? '');
      if (relation === undefined || table === undefined || this.#tables.has(relationAlias(relation))) {
        this.#tables.clear();
        return;
      }
      this.#tables.set(relationAlias(relation), table);
    }
  }

  get only(): CatalogTable | undefined {
    const [first] = this.#tables.values();
    return this.#tables.size === 1 ? first : undefined;
  }

  /** With several tables a column is known by the name of its own. */
  columnOf(node: Node | undefined): Column | undefined {
    if (node === undefined || !('ColumnRef' in node)) return undefined;
    const parts = nameParts(node.ColumnRef.fields);
    const table = parts.length === 1 ? this.only : parts.length === 2 ? this.#tables.get(parts[0] ?? '') : undefined;
    return table === undefined ? undefined : columnOf(table, parts.at(-1));
  }
}

function columnOf({ columns }: CatalogTable, name: string | undefined): Column | undefined {
  return columns.find((column) => column.name === name);
}

const { bool, int2, int4, int8, float4, float8, numeric, text, varchar, bpchar, date, timestamp, timestamptz, uuid } = typeOid;
const integers: ReadonlySet<number> = new Set([int2, int4, int8]);
const floats: ReadonlySet<number> = new Set([float4, float8]);
const read: ReadonlySet<number> = new Set([bool, int2, int4, int8, float4, float8, numeric, text, varchar, bpchar, date, timestamp, timestamptz, uuid]);
const castTypes: ReadonlyMap<string, number> = new Map(Object.entries({ bool, int2, int4, int8, float4, float8, numeric, text, varchar, date, timestamp, timestamptz, uuid }));

/** Whether PostgreSQL makes the same value of the column's type of such a constant as of a parameter of that text. */
function isAlike(kind: Literal['kind'], { type: { oid } }: Column, use: Place['use']): boolean {
  if (use === 'added') return kind === 'integer' && (oid === int4 || oid === int8);
  if (kind === 'string') return read.has(oid);
  if (use === 'compared') return kind === 'decimal' ? oid === numeric : integers.has(oid);
  return oid === numeric || floats.has(oid) || (kind !== 'decimal' && integers.has(oid));
}

/** A string that is cast is of the type already when it meets the column; to be assigned it is not changed once more. */
function isCastAlike(kind: Literal['kind'], cast: number, { type: { oid } }: Column, use: Place['use']): boolean {
  return kind === 'string' && (use === 'compared' || (use === 'assigned' && cast === oid));
}

function isValue(kind: Literal['kind'], value: string, oid: number): boolean {
  if ((kind === 'integer' && (oid === int4 || oid === int8)) || (kind === 'bigint' && oid === int8)) return true;
  // A number has no negative zero, which the text of a float may be.
  return isPlainValue(oid, value) && (kind === 'string' || !/^-[0.]+$/.test(value));
}

/** A constant that is too long fails before the first row is looked at, a parameter when a row needs it. */
function fits(value: string, { type: { oid, modifier } }: Column): boolean {
  if (modifier < 0) return true;
  if (oid === varchar || oid === bpchar) return value.length <= modifier - headerBytes;
  if (oid !== numeric) return false;
  const [whole = '', fraction = ''] = value.replace('-', '').split('.');
  const [precision, scale] = [(modifier - headerBytes) >> 16, (modifier - headerBytes) & 0x7ff];
  return scale <= precision && fraction.length <= scale && whole.length <= precision - scale;
}

/** Modifiers of these types count a header. */
const headerBytes = 4;

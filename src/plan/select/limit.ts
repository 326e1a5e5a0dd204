import type { Node, SelectStmt, TypeCast } from '@pgsql/types';
import { typeFamily } from '../../analyze/type-family.ts';
import { nameParts } from '../../sql/ast.ts';
import type { RowCount } from '../merge-plan.ts';

export interface Limits {
  readonly limit: RowCount | undefined;
  readonly offset: RowCount | undefined;
  readonly withTies: boolean;
}

/** LIMIT and OFFSET when they are constants or parameters; `unknown` for expressions. */
export function limitsOf(statement: SelectStmt): Limits | 'unknown' {
  const limit = rowCountOf(statement.limitCount);
  const offset = rowCountOf(statement.limitOffset);
  if (limit === 'unknown' || offset === 'unknown') return 'unknown';
  return { limit, offset, withTies: statement.limitOption === 'LIMIT_OPTION_WITH_TIES' };
}

function rowCountOf(node: Node | undefined): RowCount | 'unknown' | undefined {
  if (node === undefined) return undefined;
  if ('ParamRef' in node) return { kind: 'parameter', number: node.ParamRef.number ?? 0 };
  if ('TypeCast' in node) return rowCountOfCast(node.TypeCast);
  if (!('A_Const' in node)) return 'unknown';
  const { isnull, ival, fval, sval } = node.A_Const;
  if (isnull === true) return { kind: 'constant', rows: null };
  if (ival !== undefined) return { kind: 'constant', rows: ival.ival ?? 0 };
  const text = fval?.fval ?? sval?.sval ?? '';
  return /^\d{1,15}$/.test(text) ? { kind: 'constant', rows: Number(text) } : 'unknown';
}

/** A parameter cast to an integer type; casts to other types may round. */
function rowCountOfCast({ arg, typeName }: TypeCast): RowCount | 'unknown' {
  if (arg === undefined || typeFamily(nameParts(typeName?.names).join('.')) !== 'integer') return 'unknown';
  if ('ParamRef' in arg) return { kind: 'parameter', number: arg.ParamRef.number ?? 0 };
  return 'TypeCast' in arg ? rowCountOfCast(arg.TypeCast) : 'unknown';
}

/**
 * The LIMIT that each shard group can apply: as many rows as LIMIT and OFFSET together may take. Empty when there is none.
 */
export function shardLimitSql({ limit, offset, withTies }: Limits): string {
  if (limit === undefined || (limit.kind === 'constant' && limit.rows === null)) return '';
  const sum = offset === undefined ? limitSql(limit) : sumSql(limit, offset);
  return withTies ? ` FETCH FIRST (${sum}) ROWS WITH TIES` : ` LIMIT ${sum}`;
}

/** At most the largest int8: the sum of two may be larger. NULL stays NULL: no limit. */
function sumSql(limit: RowCount, offset: RowCount): string {
  if (limit.kind === 'constant' && offset.kind === 'constant') return String((limit.rows ?? 0) + (offset.rows ?? 0));
  const sum = `${limitSql(limit)}::numeric + ${offsetSql(offset)}`;
  return `(CASE WHEN ${sum} < 9223372036854775807 THEN (${sum})::int8 ELSE ${limitSql(limit)} END)`;
}

/** NULL stays NULL: no limit. */
function limitSql(count: RowCount): string {
  return count.kind === 'constant' ? String(count.rows) : `$${count.number}::int8`;
}

function offsetSql(count: RowCount): string {
  return count.kind === 'constant' ? String(count.rows ?? 0) : `coalesce($${count.number}::int8, 0)`;
}

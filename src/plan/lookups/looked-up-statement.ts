import type { Node } from '@pgsql/types';
import type { ConstantSource } from '../../analyze/constant-set.ts';
import { constantOf } from '../../analyze/conditions.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { Column, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { nameParts } from '../../sql/ast.ts';
import { conditionExtent } from '../../sql/condition-extent.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { columnTypeName } from '../insert/plan-insert.ts';
import { parameterNumbers } from '../shard-template.ts';
import type { LookedUpPlan } from './looked-up-plan.ts';
import { type NamedTable, rowSources } from './row-sources.ts';

/**
 * A query or write that compares all columns of a valid lookup with constants or parameters, in its outermost WHERE, with a condition on the table's distribution column added there, which follows from those. Undefined where there is none,
 * or the place for it is not found.
 */
export function lookedUpStatement(statement: Statement, names: RelationNames): Omit<LookedUpPlan, 'plan'> | undefined {
  const sources = rowSources(statement.node, names);
  const conditions = sources === undefined ? [] : conjuncts(sources.where);
  for (const source of sources?.tables ?? []) {
    const comparisons = conditions.flatMap((condition) => comparisonWith(condition, source, sources?.ownerOf) ?? []);
    for (const lookup of names.snapshot.lookups) {
      if (lookup.table !== source.table.oid || !lookup.valid) continue;
      const found = lookup.columns.map((column) => comparisons.find((one) => one.column.name === column));
      const keys = found.flatMap((one) => (one === undefined ? [] : [one.value]));
      const rewritten = keys.length < found.length ? undefined : withCondition(statement, source, found[0]?.condition);
      if (rewritten !== undefined) return { lookup, keys, ...rewritten };
    }
  }
  return undefined;
}

function conjuncts(where: Node | undefined): Node[] {
  if (where === undefined) return [];
  return 'BoolExpr' in where && where.BoolExpr.boolop === 'AND_EXPR' ? (where.BoolExpr.args ?? []).flatMap(conjuncts) : [where];
}

interface Comparison {
  readonly column: Column;
  readonly value: ConstantSource;
  readonly condition: Node;
}

type OwnerOf = (column: string) => NamedTable | undefined;

/** `column = constant`, either way round. */
function comparisonWith(condition: Node, source: NamedTable, ownerOf: OwnerOf | undefined): Comparison | undefined {
  if (!('A_Expr' in condition)) return undefined;
  const { kind, name, lexpr, rexpr } = condition.A_Expr;
  if (kind !== 'AEXPR_OP' || nameParts(name).join('.') !== '=' || lexpr === undefined || rexpr === undefined) return undefined;
  for (const [left, right] of [[lexpr, rexpr], [rexpr, lexpr]] as const) {
    const column = columnOf(left, source, ownerOf);
    const value = column === undefined ? undefined : constantOf(right, columnTypeName(column));
    if (column !== undefined && value !== undefined) return { column, value, condition };
  }
  return undefined;
}

function columnOf(node: Node, source: NamedTable, ownerOf: OwnerOf | undefined): Column | undefined {
  const fields = 'ColumnRef' in node ? nameParts(node.ColumnRef.fields) : [];
  if ('ColumnRef' in node && fields.length !== node.ColumnRef.fields?.length) return undefined;
  const [first, second] = fields;
  const name = fields.length === 2 && first === source.name ? second : fields.length === 1 && first !== undefined && ownerOf?.(first) === source ? first : undefined;
  return source.table.columns.find((column) => column.name === name);
}

/** Floats as text may be rounded, by the session's settings. */
const rounded: ReadonlySet<string> = new Set(['real', 'double precision']);

function withCondition(statement: Statement, { name, table }: NamedTable, behind: Node | undefined): Pick<LookedUpPlan, 'number' | 'statement'> | undefined {
  const column = distributionColumnOf(table);
  const extent = behind === undefined || column === undefined ? undefined : conditionExtent(statement, behind);
  if (extent === undefined || column === undefined) return undefined;
  const { text } = statement;
  const number = Math.max(0, ...parameterNumbers(statement.node)) + 1;
  return { number, statement: parseOne(`${text.slice(0, extent.end)} AND ${quoteIdentifier(name)}.${quoteIdentifier(column.name)} = $${number}${text.slice(extent.end)}`) };
}

function distributionColumnOf({ distributionColumn: column }: DistributedTable): Column | undefined {
  return column === undefined || rounded.has(columnTypeName(column)) ? undefined : column;
}

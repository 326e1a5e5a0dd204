import type { Node } from '@pgsql/types';
import { factsOfCondition } from '../../analyze/conditions.ts';
import type { ConstantSet } from '../../analyze/constant-set.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { Column, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { conjuncts } from '../../sql/ast.ts';
import { conditionExtent } from '../../sql/condition-extent.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { columnTypeName } from '../insert/plan-insert.ts';
import { parameterNumbers } from '../shard-template.ts';
import type { LookedUpPlan } from './looked-up-plan.ts';
import { type NamedTable, rowSources } from './row-sources.ts';

/**
 * A query or write that compares all columns of a valid lookup with constants or parameters, or lists of them, in its outermost WHERE, with a condition on the table's distribution column added there, which follows from those. Undefined
 * where there is none, or the place for it is not found.
 */
export function lookedUpStatement(statement: Statement, names: RelationNames): Omit<LookedUpPlan, 'plan'> | undefined {
  const sources = rowSources(statement.node, names);
  if (sources === undefined) return undefined;
  const comparisons = conjuncts(sources.where).flatMap((condition) => factsOfCondition(condition, sources.scope).facts.flatMap((fact): Comparison[] => (fact.kind === 'among' ? [{ ...fact, condition }] : [])));
  for (const source of sources.tables) {
    for (const lookup of names.snapshot.lookups) {
      if (!lookup.tables.has(source.table.oid) || !lookup.valid) continue;
      const found = lookup.columns.flatMap((column) => comparisonOf(comparisons, source.columnId(column)) ?? []);
      const [first] = found;
      if (first === undefined || found.length < lookup.columns.length) continue;
      const several = !found.every(({ set }) => isSingle(set));
      const rewritten = withCondition(statement, source, { behind: first.condition, several });
      if (rewritten !== undefined) return { lookup, keys: found.map(({ set }) => set), several, ...rewritten };
    }
  }
  return undefined;
}

interface Comparison {
  readonly column: number;
  readonly set: ConstantSet;
  readonly condition: Node;
}

/** One value rather than several. What a setting is, the lookup cannot be asked for. */
function comparisonOf(comparisons: readonly Comparison[], column: number | undefined): Comparison | undefined {
  const own = comparisons.filter((one) => one.column === column && one.set.values.every(({ kind }) => kind !== 'setting'));
  return own.find(({ set }) => isSingle(set)) ?? own[0];
}

function isSingle({ values, arrays }: ConstantSet): boolean {
  return values.length === 1 && arrays.length === 0;
}

/** Floats as text may be rounded, by the session's settings. */
const rounded: ReadonlySet<string> = new Set(['real', 'double precision']);

interface Place {
  readonly behind: Node;
  readonly several: boolean;
}

function withCondition(statement: Statement, { name, table }: NamedTable, { behind, several }: Place): Pick<LookedUpPlan, 'number' | 'statement'> | undefined {
  const column = distributionColumnOf(table);
  const extent = column === undefined ? undefined : conditionExtent(statement, behind);
  if (extent === undefined || column === undefined) return undefined;
  const { text } = statement;
  const number = Math.max(0, ...parameterNumbers(statement.node)) + 1;
  const added = `${quoteIdentifier(name)}.${quoteIdentifier(column.name)} = ${several ? `ANY ($${number})` : `$${number}`}`;
  return { number, statement: parseOne(`${text.slice(0, extent.start)}(${text.slice(extent.start, extent.end)}) AND ${added}${text.slice(extent.end)}`) };
}

function distributionColumnOf({ distributionColumn: column }: DistributedTable): Column | undefined {
  return column === undefined || rounded.has(columnTypeName(column)) ? undefined : column;
}

import type { AnalyzedStatement } from '../analyze/analyze-statement.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { Statement } from '../sql/parse.ts';
import type { Describe } from './describe.ts';
import { columnTypeName } from './insert/plan-insert.ts';
import { useSecurity } from './policy-restrictions.ts';
import { groupPlacer, placerOf } from './prune.ts';
import type { PrunableUse } from './statement-plan.ts';
import { knownSets, parameterUses } from './typed-parameters.ts';

export function tablesOf({ uses }: AnalyzedStatement): CatalogTable[] {
  return [...new Set(uses.map(({ table }) => table))];
}

/** Where a use was not placed, nothing is known of it, so the statement cannot be sent anywhere. */
export function prunableUses({ uses, results, inserted, written, restrictions }: AnalyzedStatement, snapshot: CatalogSnapshot): PrunableUse[] | undefined {
  const prunable: PrunableUse[] = [];
  for (const use of uses) {
    if (use.table.kind !== 'distributed') continue;
    const known = restrictions.get(use);
    if (known === undefined) return undefined;
    prunable.push({ table: use.table, placer: placerOf(use.table, snapshot), restrictions: known, assigned: inserted.get(use), security: useSecurity(use.table, written.get(use.rangeVar), snapshot) });
  }
  for (const use of results) {
    const { distribution } = use.result;
    if (distribution === undefined) continue;
    const known = restrictions.get(use);
    if (known === undefined) return undefined;
    prunable.push({ table: undefined, placer: groupPlacer(distribution.colocation, snapshot), restrictions: known });
  }
  return prunable;
}

/**
 * What parameters say of a distribution column, where they are certainly read as its type. One that stands in several places may have got
 * another type there: only then is the server asked.
 */
export async function certainUses(uses: readonly PrunableUse[] | undefined, { node, text }: Statement, describe: Describe): Promise<readonly PrunableUse[] | undefined> {
  const sets = uses?.flatMap(({ restrictions }) => restrictions) ?? [];
  const numbers = new Set(sets.flatMap(({ values, arrays }) => [...arrays, ...values.flatMap((value) => (value.kind === 'parameter' ? [value.number] : []))]));
  if (numbers.size === 0) return uses;
  const counts = parameterUses(node);
  if ([...numbers].every((number) => counts.get(number) === 1)) return uses;
  const { parameterTypes } = await describe.statement(text);
  return uses?.map((use) => ({ ...use, restrictions: knownSets(use.restrictions, parameterTypes, typeNameOf(use)) }));
}

/** A single-shard table has no restrictions, so that none is needed. */
function typeNameOf({ table, placer }: PrunableUse): string {
  return (table?.distributionColumn === undefined ? placer.group.distributionType : columnTypeName(table.distributionColumn)) ?? '';
}

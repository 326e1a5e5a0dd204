import { collectCalls } from '../analyze/function-calls.ts';
import { namedRelations } from '../analyze/analyze-statement.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { Describe } from '../plan/describe.ts';
import { functionRules } from '../plan/function-rules.ts';
import type { Statement } from '../sql/parse.ts';

/** Whether a query reads tables of the cluster or the system alone, and calls nothing volatile. */
export async function hasNoEffects({ node }: Statement, snapshot: CatalogSnapshot, describe: Describe): Promise<boolean> {
  const names = new Set([...snapshot.tables.values()].map(({ name }) => name));
  const isKnown = (schema: string | undefined, name: string | undefined): boolean => schema === 'pg_catalog' || schema === 'information_schema' || name?.startsWith('pg_') === true || names.has(name ?? '');
  if (!namedRelations(node).every(({ schemaname, relname }) => isKnown(schemaname, relname))) return false;
  const rules = await functionRules(node, describe);
  let quiet = true;
  collectCalls(node, (call) => {
    quiet &&= !rules.isVolatile(call);
    return quiet;
  }, true);
  return quiet;
}

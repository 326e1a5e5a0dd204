import type { Statement } from '../../sql/parse.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { PrunableUse, StatementPlan } from '../statement-plan.ts';
import { lookedUpStatement } from './looked-up-statement.ts';

/** A plan that may ask several shards, together with the one for those of a few keys, where a unique lookup can tell which ones they are. `plan` plans the statement with one condition more. */
export async function withLookup(planned: StatementPlan, { statement, names, plan }: { readonly statement: Statement; readonly names: RelationNames; readonly plan: (statement: Statement) => Promise<StatementPlan> }): Promise<StatementPlan> {
  if (names.snapshot.lookups.length === 0 || (planned.kind !== 'select' && planned.kind !== 'modify') || isPruned(planned)) return planned;
  const found = lookedUpStatement(statement, names);
  if (found === undefined) return planned;
  const better = await plan(found.statement);
  return (better.kind === 'select' || better.kind === 'modify') && better.kind === planned.kind && isPruned(better) ? { ...planned, lookedUp: { ...found, plan: better } } : planned;
}

function isPruned({ routable, uses }: { readonly routable: boolean; readonly uses: readonly PrunableUse[] }): boolean {
  return routable && uses.every(({ placer, restrictions }) => restrictions.length > 0 || placer.group.shardGroups.length === 1);
}

import type { DefinitionPlan } from '../../plan/ddl/definition-plan.ts';
import type { CatalogChange } from '../change-catalog.ts';
import { underDefinitionSettings, underNodeSettings } from '../definition-settings.ts';
import { keepCopies, referredLocally, releaseCopies } from '../shell-copies.ts';
import type { DefinitionChange } from './definition-change.ts';

/** Before a statement whose foreign keys PostgreSQL checks for the rows that are there: the reference tables that it names get their rows in the coordinator database. */
export async function copiesAhead(change: DefinitionChange, { referenced, checksRows }: DefinitionPlan): Promise<void> {
  if (!checksRows || referenced.length === 0 || change.shellsOnly) return;
  await inCatalog(change, (catalog) => keepCopies(catalog, referenced.map(({ oid }) => oid)));
}

/** After a statement: the same for those that local tables have come to refer to; and the copies in the coordinator database go to which none refers any more. */
export async function copiesFollow(change: DefinitionChange, { referenced }: DefinitionPlan): Promise<void> {
  const hasCopies = [...change.snapshot.tables.values()].some((table) => table.kind === 'reference' && table.shellIsCopy);
  if (change.shellsOnly || (referenced.length === 0 && !hasCopies)) return;
  await inCatalog(change, async (catalog) => {
    await keepCopies(catalog, await referredLocally(catalog, referenced.map(({ oid }) => oid)));
    await releaseCopies(catalog);
  });
}

/** As a change of the catalog, under the settings in which definitions are read and replayed. */
async function inCatalog({ transaction, coordinator, snapshot: { clusterId, nodes }, options, lockTimeoutMs }: DefinitionChange, work: (catalog: CatalogChange) => Promise<void>): Promise<void> {
  const limit = `SET LOCAL lock_timeout = ${lockTimeoutMs}`;
  await underDefinitionSettings(coordinator, options, () => underNodeSettings(transaction, nodes.map(({ id }) => id), {
    options,
    work: async () => {
      await coordinator.query({ text: limit, simple: true }, options);
      for (const { id } of nodes) await (await transaction.join(id, 'write', options)).query({ text: limit, simple: true }, options);
      await work({ transaction, coordinator, clusterId, nodes, signal: options.signal });
    },
  }));
}

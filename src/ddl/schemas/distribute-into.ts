import type { ColocationGroup } from '../../catalog/catalog-snapshot.ts';
import type { CatalogChange } from '../change-catalog.ts';
import { checkBehaviour, checkDependencies } from '../check-behaviour.ts';
import { checkForeignKeys } from '../check-foreign-keys.ts';
import { checkReferrers } from '../check-referrers.ts';
import { checkTable } from '../check-table.ts';
import { distributeTrees } from '../distribute-trees.ts';
import { sendObjectsOf } from '../objects/send-objects.ts';
import { readTree } from '../read-definition.ts';
import type { TableDefinition } from '../table-definition.ts';
import { checkSchemas } from './check-schemas.ts';

/** Makes single-shard tables of a group of tables, with their partitions and rows. They may refer to each other, also in circles. Errors as of `createDistributedTable`. */
export async function distributeInto(change: CatalogChange, group: ColocationGroup, tables: readonly TableDefinition[]): Promise<void> {
  const trees: TableDefinition[][] = [];
  for (const table of tables) trees.push(await readTree(change.coordinator, table, change));
  const members = trees.flat();
  const together = new Set(members.map(({ oid }) => oid));
  for (const member of members) checkTable(member);
  await checkSchemas(change, members, group);
  await sendObjectsOf(change, [...together]);
  for (const member of members) {
    checkForeignKeys(member, { kind: 'distributed', column: undefined, colocationId: group.id, together });
    await checkReferrers(change, member, together);
    checkBehaviour(member, group.hash);
    await checkDependencies(change, member);
  }
  await distributeTrees(change, trees.map((tree) => tree.map((definition) => ({ definition, distribution: undefined }))), { group, above: [] });
}

import type { Cluster } from '../../src/index.ts';
import type { TableDefinition } from '../data/table-definition.ts';

/** What making tables needs of a pool or a client. */
export interface Executor {
  query(text: string): Promise<unknown>;
}

/** Makes the table, empty, with its indexes. On a cluster it is then placed. */
export async function createTable(target: Executor, table: TableDefinition, cluster?: Cluster): Promise<void> {
  for (const statement of table.statements) await target.query(statement);
  if (cluster === undefined) return;
  if (table.placement.kind === 'reference') {
    await cluster.createReferenceTable(table.name);
    return;
  }
  const { column, colocateWith } = table.placement;
  await cluster.createDistributedTable(table.name, column, colocateWith === undefined ? {} : { colocateWith });
}

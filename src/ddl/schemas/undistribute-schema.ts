import { ClusterError } from '../../base/errors.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import { deleteDistributedSchema, groupOfSchema } from '../../store/distributed-schemas.ts';
import { changeCatalog } from '../change-catalog.ts';
import type { DdlContext } from '../ddl-context.ts';
import { readTree } from '../read-definition.ts';
import type { TableDefinition } from '../table-definition.ts';
import { undistributeTrees } from '../undistribute-table.ts';
import { lockTablesOf, readTablesOf, resolveSchema, undefinedSchema } from './schema-tables.ts';

/**
 * Makes a distributed schema an ordinary one, and its tables local ones, with their rows, in one distributed transaction. Errors: `invalidParameter` (no such schema), `notDistributed`; `unsupportedTable` while foreign keys connect a
 * table to reference tables, or tables in a circle.
 */
export async function undistributeSchema(context: DdlContext, written: string, { signal }: CallOptions = {}): Promise<void> {
  await changeCatalog(context, {
    signal,
    lockFirst: async (coordinator) => {
      const schema = await resolveSchema(coordinator, written, { signal });
      if (schema === undefined) throw undefinedSchema(written);
      await lockTablesOf(coordinator, schema, { signal });
      return schema;
    },
    body: async (change, schema) => {
      if ((await groupOfSchema(change, schema)) === undefined) throw new ClusterError('notDistributed', `schema "${schema}" is not distributed`, { schema });
      const trees: TableDefinition[][] = [];
      for (const table of await readTablesOf(change, schema)) if (table.distribution !== null) trees.push(await readTree(change.coordinator, table, change));
      await undistributeTrees(change, trees);
      await deleteDistributedSchema(change, schema);
    },
  });
}

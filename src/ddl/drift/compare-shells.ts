import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { listNewTables } from '../schemas/schema-tables.ts';
import { fenceStatements } from '../shell.ts';
import type { TableDefinition } from '../table-definition.ts';
import type { SchemaDifference } from './schema-report.ts';

interface Compared extends CallOptions {
  /** The coordinator database, as reports name it. */
  readonly node: string;
}

/** What is wrong in the coordinator database itself: tables that are gone, shells that would take rows, and local tables where there should be none. */
export async function compareShells(coordinator: NodeConnection, tables: readonly TableDefinition[], compared: Compared): Promise<SchemaDifference[]> {
  return [...(await lostTables(coordinator, compared)), ...(await openShells(coordinator, tables, compared)), ...(await strayTables(coordinator, compared))];
}

async function lostTables(coordinator: NodeConnection, { node, signal }: Compared): Promise<SchemaDifference[]> {
  const { rows } = await coordinator.query(
    { text: 'SELECT relation::oid FROM shardwright.distributed_table t WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation) ORDER BY 1' },
    { signal },
  );
  return rows.map(([oid]) => ({
    schema: null, table: null, node, shard: null, what: `table with OID ${oid}`, expected: 'a table', found: null,
    repair: `DELETE FROM shardwright.distributed_table WHERE relation = ${oid}::oid;\nUPDATE shardwright.cluster SET catalog_version = catalog_version + 1`,
  }));
}

async function openShells(coordinator: NodeConnection, tables: readonly TableDefinition[], { node, signal }: Compared): Promise<SchemaDifference[]> {
  const { rows } = await coordinator.query(
    { text: `SELECT tgrelid::bigint, tgname FROM pg_trigger WHERE tgfoid = 'shardwright.refuse_shell_write'::regproc AND tgenabled <> 'D'` },
    { signal },
  );
  const fences = new Set(rows.map(([oid, name]) => `${oid} ${name}`));
  return tables.flatMap((table) =>
    fenceStatements(table, table.distribution?.shellIsCopy === true ? 'copy' : 'empty').flatMap(({ name, create, drop }): SchemaDifference[] => {
      if (fences.has(`${table.oid} ${name}`)) return [];
      return [{ schema: table.schema, table: table.name, node, shard: null, what: `trigger "${name}"`, expected: 'a trigger that refuses rows', found: null, repair: `${drop};\n${create}` }];
    }),
  );
}

/** Tables that were made in distributed schemas past the library: the next CREATE TABLE there would take them along. */
async function strayTables(coordinator: NodeConnection, { node, signal }: Compared): Promise<SchemaDifference[]> {
  return (await listNewTables(coordinator, { signal })).map(({ schema, name }) => ({
    schema, table: name, node, shard: null, what: 'table', expected: 'a table with one shard, as all in a distributed schema', found: 'a local table', repair: '',
  }));
}

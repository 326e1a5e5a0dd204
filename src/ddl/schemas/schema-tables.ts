import { ClusterError } from '../../base/errors.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import type { CatalogChange } from '../change-catalog.ts';
import { readDefinitions } from '../read-definition.ts';
import type { TableDefinition } from '../table-definition.ts';

/** Of a schema `n`, all tables that are no partitions: those of extensions, temporary and foreign ones are not meant. */
const tablesOfSchema = `FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relispartition
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')`;

/** The name of a schema as SQL writes it, `tenant_42` or `"Tenant 42"`, as it is stored; undefined when there is no such schema. */
export async function resolveSchema(coordinator: NodeConnection, written: string, options: CallOptions): Promise<string | undefined> {
  const { rows } = await coordinator.query({ text: 'SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = pg_catalog.to_regnamespace($1)', values: [written] }, options);
  return rows[0]?.[0] ?? undefined;
}

export function undefinedSchema(written: string): ClusterError {
  return new ClusterError('invalidParameter', `schema ${written} does not exist`, { sqlState: '3F000' });
}

/** So that nobody reads or writes them until the transaction ends, in one order. */
export async function lockTablesOf(coordinator: NodeConnection, schema: string, options: CallOptions): Promise<void> {
  const { rows } = await coordinator.query({ text: `SELECT c.relname, c.relkind ${tablesOfSchema} AND n.nspname = $1 ORDER BY c.oid`, values: [schema] }, options);
  for (const [name, kind] of rows) {
    await coordinator.query({ text: `LOCK TABLE ${kind === 'p' ? '' : 'ONLY '}${quoteQualified(schema, name ?? '')} IN ACCESS EXCLUSIVE MODE` }, options);
  }
}

/** The tables of a schema that are no partitions, in the order in which they were made. */
export async function readTablesOf(change: CatalogChange, schema: string): Promise<TableDefinition[]> {
  const { rows } = await change.coordinator.query({ text: `SELECT c.oid ${tablesOfSchema} AND n.nspname = $1 ORDER BY c.oid`, values: [schema] }, change);
  return definitionsOf(change, rows.map(([oid]) => Number(oid)));
}

/** Those of distributed schemas that are local tables yet. */
export async function readNewTables(change: CatalogChange): Promise<TableDefinition[]> {
  return definitionsOf(change, (await listNewTables(change.coordinator, change)).map(({ oid }) => oid));
}

export async function listNewTables(coordinator: NodeConnection, options: CallOptions): Promise<{ readonly oid: number; readonly schema: string; readonly name: string }[]> {
  const { rows } = await coordinator.query({
    text: `SELECT c.oid, n.nspname, c.relname ${tablesOfSchema} AND n.oid IN (SELECT schema FROM shardwright.distributed_schema)
      AND NOT EXISTS (SELECT FROM shardwright.distributed_table t WHERE t.relation = c.oid) ORDER BY c.oid`,
  }, options);
  return rows.map(([oid, schema, name]) => ({ oid: Number(oid), schema: schema ?? '', name: name ?? '' }));
}

async function definitionsOf(change: CatalogChange, oids: readonly number[]): Promise<TableDefinition[]> {
  if (oids.length === 0) return [];
  return [...(await readDefinitions(change.coordinator, oids, change)).values()].sort((a, b) => a.oid - b.oid);
}

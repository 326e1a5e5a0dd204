import { ClusterError } from '../../base/errors.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { groupOfSchema, insertDistributedSchema } from '../../store/distributed-schemas.ts';
import { readNodeIdentity } from '../../store/node-identity.ts';
import { changeCatalog, type CatalogChange } from '../change-catalog.ts';
import { createGroup } from '../choose-group.ts';
import type { DdlContext } from '../ddl-context.ts';
import { ensureSchema, runOnNodes } from '../on-nodes.ts';
import { releaseCopies } from '../shell-copies.ts';
import { onCoordinator } from '../shell.ts';
import { distributeInto } from './distribute-into.ts';
import { lockTablesOf, readTablesOf, resolveSchema, undefinedSchema } from './schema-tables.ts';

export interface DistributeSchemaOptions extends CallOptions {
  /** Makes the schema, here and on the nodes, if there is none. */
  readonly create?: boolean | undefined;
}

/**
 * Makes a schema a distributed one: its tables, those that it has, with their rows, and those that come, are single-shard tables of one colocation group, which is for them alone and is put on the node
 * that has the fewest of such groups. In one distributed transaction; nobody can read or write the tables meanwhile.
 *
 * Errors: `invalidParameter` (no such schema, one of the system, `public`), `alreadyDistributed` (the schema, or a table in it), `noNodes`, and those of `createDistributedTable`.
 */
export async function distributeSchema(context: DdlContext, written: string, { create = false, signal }: DistributeSchemaOptions = {}): Promise<void> {
  await changeCatalog(context, {
    signal,
    lockFirst: async (coordinator) => {
      const found = await resolveSchema(coordinator, written, { signal });
      if (found !== undefined) await lockTablesOf(coordinator, found, { signal });
      return found;
    },
    body: async (change, found) => {
      if (found === undefined && !create) throw undefinedSchema(written);
      const schema = found ?? (await makeSchema(change, written));
      await checkSchema(change, schema);
      await addSchema(change, schema);
      const tables = await readTablesOf(change, schema);
      const group = await groupOfSchema(change, schema);
      if (group !== undefined && tables.length > 0) await distributeInto(change, group, tables);
      await releaseCopies(change);
    },
  });
}

/** Writes down that the schema is distributed, with a group of its own. */
export async function addSchema(change: CatalogChange, schema: string): Promise<void> {
  const group = await createGroup(change, { distributionType: undefined, colocateWith: 'none', shardCount: undefined, hash: undefined });
  await insertDistributedSchema(change, schema, group.id);
}

/** On all servers. Returns its name. */
async function makeSchema(change: CatalogChange, written: string): Promise<string> {
  const quoted = /^"((?:[^"]|"")*)"$/.exec(written)?.[1]?.replaceAll('""', '"');
  const schema = quoted ?? written.toLowerCase();
  await onCoordinator(change, `CREATE SCHEMA ${quoteIdentifier(schema)}`);
  const own = await readNodeIdentity(change.coordinator, change);
  const others = change.nodes.filter(({ id }) => id !== own?.node);
  await runOnNodes(change, new Map(others.map(({ id }) => [id, [ensureSchema({ schema, schemaUsers: null })]])));
  return schema;
}

async function checkSchema(change: CatalogChange, schema: string): Promise<void> {
  const refuse = (message: string, hint: string): ClusterError => new ClusterError('invalidParameter', `cannot distribute schema "${schema}": ${message}`, { schema, hint });
  if (schema === 'public') throw refuse('what is found without naming a schema belongs to all', 'Make a schema for each tenant.');
  if (schema.startsWith('pg_') || ['information_schema', 'shardwright'].includes(schema) || (await isOfExtension(change.coordinator, schema, change))) throw refuse('it is no schema of yours', 'Make a schema for each tenant.');
  if ((await groupOfSchema(change, schema)) !== undefined) throw new ClusterError('alreadyDistributed', `schema "${schema}" is distributed already`, { schema });
}

async function isOfExtension(coordinator: NodeConnection, schema: string, options: CallOptions): Promise<boolean> {
  const text = `SELECT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.deptype = 'e' AND n.nspname = $1)`;
  const { rows } = await coordinator.query({ text, values: [schema] }, options);
  return rows[0]?.[0] === 't';
}

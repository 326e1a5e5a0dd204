import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { CallOptions, NodeConnection, NodeConnections } from '../cluster/node-connection.ts';
import { installCatalogDocument } from './catalog-document.ts';
import { migrations } from './migrations.ts';
import { nodeSchemaSql } from './node-schema.ts';

/** Any fixed number will do: whoever installs the schema in one database waits for the others here. */
const installLock = '8243122740771205467';

/**
 * Brings schema `shardwright` of the coordinator database to this version: creates it, or runs the missing migrations. Does nothing
 * when it is there. Any number of processes may do so at once. `catalogCorrupt` when a newer version of this library made it.
 */
export async function installSchema(coordinator: Pick<NodeConnections, 'acquire'>, options?: CallOptions): Promise<void> {
  const connection = await coordinator.acquire(options);
  let failure: { readonly error: unknown } | undefined;
  try {
    await connection.query({ text: 'BEGIN' }, options);
    await connection.query({ text: `SELECT pg_advisory_xact_lock(${installLock})` }, options);
    await migrate(connection, options);
    await connection.query({ text: 'COMMIT' }, options);
  } catch (error) {
    failure = { error };
    throw error;
  } finally {
    connection.release(failure);
  }
}

/** Runs what needs a table, a column or a value of this version; a database whose schema an older version of this library has installed gets it now. */
export async function withSchema<T>(coordinator: Pick<NodeConnections, 'acquire'>, run: () => Promise<T>, options?: CallOptions): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!['42P01', '42703', '23514'].includes(sqlStateOf(error) ?? '')) throw error;
  }
  await installSchema(coordinator, options);
  return run();
}

async function migrate(connection: NodeConnection, options?: CallOptions): Promise<void> {
  await connection.query({ text: `SET LOCAL client_min_messages = warning; SET LOCAL search_path = pg_catalog`, simple: true }, options);
  await createSchema(connection, options);
  const present = await schemaVersion(connection, options);
  if (present > migrations.length) throw tooNew(present);
  const missing = migrations.slice(present);
  if (missing.length > 0) {
    const text = [...missing, `UPDATE shardwright.cluster SET schema_version = ${migrations.length}`].join(';\n');
    await connection.query({ text, simple: true }, options);
  }
  await connection.query({ text: `${nodeSchemaSql};\n${installCatalogDocument()};\n${versionGrant}`, simple: true }, options);
}

/** Whoever reads a local table compares the version of the catalog, in whatever role the session has set. */
const versionGrant = 'GRANT SELECT (catalog_version) ON shardwright.cluster TO PUBLIC';

/** Asks first: CREATE SCHEMA IF NOT EXISTS needs the right to create even when there is nothing to do. */
async function createSchema(connection: NodeConnection, options?: CallOptions): Promise<void> {
  const { rows } = await connection.query({ text: `SELECT 1 FROM pg_namespace WHERE nspname = 'shardwright'` }, options);
  if (rows.length === 0) await connection.query({ text: 'CREATE SCHEMA shardwright' }, options);
}

/** How many migrations were run; the schema may exist for the sake of a node alone, then none. */
async function schemaVersion(connection: NodeConnection, options?: CallOptions): Promise<number> {
  const { rows } = await connection.query({ text: `SELECT to_regclass('shardwright.cluster') IS NOT NULL` }, options);
  if (rows[0]?.[0] !== 't') return 0;
  const version = await connection.query({ text: 'SELECT schema_version FROM shardwright.cluster' }, options);
  return Number(version.rows[0]?.[0] ?? 0);
}

function tooNew(present: number): ClusterError {
  return new ClusterError('catalogCorrupt', `schema "shardwright" is of version ${present}, which this library does not know`, {
    detail: `This library knows versions up to ${migrations.length}.`,
    hint: 'Use the version of shardwright that upgraded the schema, or a newer one.',
  });
}

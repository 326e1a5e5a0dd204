import { allOrAbort } from '../../base/abort.ts';
import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import type { Everywhere } from '../../plan/ddl/everywhere.ts';
import type { WrittenName } from '../../plan/ddl/named-objects.ts';
import { quoteIdentifier, quoteLiteral } from '../../sql/identifiers.ts';
import { readNodeIdentity } from '../../store/node-identity.ts';
import { readServerIdentity } from '../../store/server-identity.ts';
import type { DefinitionChange } from './definition-change.ts';
import { nodeError } from './node-error.ts';

/** What the nodes need to know of the coordinator database before it runs the statement itself. */
export interface Surroundings {
  readonly schemas: readonly string[];
  /** The statement is about functions that are bound to tables of the coordinator database. */
  readonly isLocal: boolean;
}

export async function surroundingsOf({ coordinator, options }: DefinitionChange, { functions }: Everywhere): Promise<Surroundings> {
  return { schemas: await readUserSchemas(coordinator, options), isLocal: await areLocal(coordinator, functions, options) };
}

/** By name; those of extensions come with them. */
export async function readUserSchemas(coordinator: NodeConnection, options: CallOptions): Promise<string[]> {
  const { rows } = await coordinator.query({ text: userSchemas }, options);
  return rows.map(([name]) => name ?? '');
}
const userSchemas = `SELECT nspname FROM pg_catalog.pg_namespace n WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'shardwright')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND objid = n.oid AND deptype = 'e') ORDER BY 1`;

/**
 * Runs the statement on the nodes, after the coordinator database has: names mean the same on all, since nodes get the schemas that they lack first. Functions that PostgreSQL knows
 * to need a table (by its row type, or by a body in SQL syntax) cannot be there: they stay in the coordinator database.
 */
export async function runEverywhere(change: DefinitionChange, everywhere: Everywhere, before: Surroundings): Promise<void> {
  if (before.isLocal || (await areLocal(change.coordinator, everywhere.functions, change.options))) return;
  const nodes = everywhere.scope === 'server' ? await oneOfEachServer(change) : await ofOtherDatabases(change);
  // The coordinator database has said whatever there is to be said.
  const silent = { ...change.options, onNotice: undefined };
  await allOrAbort(change.options.signal, nodes.map((node) => async (signal) => {
    const options = { ...silent, signal };
    try {
      await runOnNode(await change.transaction.join(node, 'write', options), { everywhere, before, change: { ...change, options } });
    } catch (error) {
      throw nodeError(error, { snapshot: change.snapshot, outcome: { changed: [], dropped: [], known: new Map() }, node });
    }
  }));
}

interface NodeRun {
  readonly everywhere: Everywhere;
  readonly before: Surroundings;
  readonly change: DefinitionChange;
}

async function runOnNode(connection: NodeConnection, { everywhere, before, change: { options, lockTimeoutMs } }: NodeRun): Promise<void> {
  const { rows } = await connection.query({ text: `SELECT current_setting('check_function_bodies'), current_setting('lock_timeout')` }, options);
  const [checks, timeout] = at(rows, 0);
  // Bodies have been checked, and may name what is in the coordinator database alone.
  const first = ['SET LOCAL check_function_bodies = off', ...(timeout === '0' ? [`SET LOCAL lock_timeout = ${lockTimeoutMs}`] : []), ensureSchemas(before.schemas)];
  await connection.query({ text: first.join(';\n'), simple: true }, options);
  await connection.query({ text: everywhere.text, simple: true }, options);
  await connection.query({ text: `SELECT set_config('check_function_bodies', $1, true), set_config('lock_timeout', $2, true)`, values: [checks, timeout] }, options);
}

function ensureSchemas(schemas: readonly string[]): string {
  const names = schemas.map((name) => `(${quoteLiteral(quoteIdentifier(name))})`).join(', ');
  if (names === '') return 'SELECT';
  return `DO ${quoteLiteral(`DECLARE name pg_catalog.text; BEGIN
    FOR name IN SELECT v.n FROM (VALUES ${names}) AS v (n) WHERE pg_catalog.to_regnamespace(v.n) IS NULL LOOP EXECUTE 'CREATE SCHEMA ' || name; END LOOP; END`)}`;
}

/** The coordinator database may be a node itself. */
async function ofOtherDatabases({ coordinator, snapshot, options }: DefinitionChange): Promise<NodeId[]> {
  const own = await readNodeIdentity(coordinator, options);
  return snapshot.nodes.map(({ id }) => id).filter((id) => id !== own?.node);
}

/** One node of each server; of that of the coordinator database, none. Two transactions of one server that make the same role would wait for each other. */
async function oneOfEachServer({ transaction, coordinator, snapshot, options }: DefinitionChange): Promise<NodeId[]> {
  const seen = new Set([await readServerIdentity(coordinator, options)]);
  const servers = await Promise.all(snapshot.nodes.map(async ({ id }) => ({ id, server: await readServerIdentity(await transaction.join(id, 'read', options), options) })));
  return servers.filter(({ server }) => {
    const isNew = !seen.has(server);
    seen.add(server);
    return isNew;
  }).map(({ id }) => id);
}

/** Whether one of the functions, by whatever arguments, depends on a relation other than a composite type. */
async function areLocal(coordinator: NodeConnection, functions: readonly WrittenName[], options: CallOptions): Promise<boolean> {
  if (functions.length === 0) return false;
  const values = [functions.map(({ name }) => name), functions.map(({ schema }) => schema ?? null)];
  const { rows } = await coordinator.query({ text: boundToTables, values }, options);
  if (rows[0]?.[0] === 'f' || rows[0]?.[1] === 'f') return rows[0]?.[0] === 't';
  throw new ClusterError('unsupportedDdl', 'functions that are bound to tables, and others that are not, in one statement', { hint: 'Change them in statements of their own.' });
}

const boundToTables = `
SELECT coalesce(pg_catalog.bool_or(bound), false), coalesce(pg_catalog.bool_or(NOT bound), false) FROM (
  SELECT EXISTS (
    SELECT FROM pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_type t ON d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.refobjid
      LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
      JOIN pg_catalog.pg_class c ON c.oid = CASE WHEN d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass THEN d.refobjid ELSE coalesce(nullif(t.typrelid, 0), e.typrelid) END
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND c.relkind <> 'c') AS bound
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS named (name, schema) ON p.proname = named.name AND (named.schema IS NULL OR n.nspname = named.schema)
) AS found`;

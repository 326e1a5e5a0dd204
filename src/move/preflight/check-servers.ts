import type { CallOptions, NodeConnections } from '../../cluster/node-connection.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import type { PreflightCheck } from './preflight-check.ts';
import type { PreflightTable } from './run-preflight.ts';

/** What a table's rows need of a server, and in which version. */
interface Need {
  readonly kind: 'type' | 'collation' | 'extension';
  /** Qualified and quoted where need be. */
  readonly name: string;
  /** Of an extension, or of a collation as the operating system or ICU provides it; null where it has none. */
  readonly version: string | null;
}

/**
 * Types of columns that a user made, and what they consist of; collations of columns and of indexes, the database's own under an empty name; extensions that any of these, or an index's operators, belong to.
 */
const needsQuery = `
WITH RECURSIVE shard AS (SELECT c.oid FROM pg_catalog.unnest($1::text[]) AS name JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(name)),
col AS (SELECT a.atttypid, a.attcollation FROM shard JOIN pg_catalog.pg_attribute a ON a.attrelid = shard.oid WHERE a.attnum > 0 AND NOT a.attisdropped),
ind AS (SELECT i.indclass, i.indcollation FROM shard JOIN pg_catalog.pg_index i ON i.indrelid = shard.oid),
typ (oid) AS (
  SELECT atttypid FROM col
  UNION SELECT n.oid FROM typ JOIN pg_catalog.pg_type t ON t.oid = typ.oid, LATERAL (
    SELECT t.typelem UNION ALL SELECT t.typbasetype UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) n (oid) WHERE n.oid <> 0),
coll (oid) AS (SELECT attcollation FROM col WHERE attcollation <> 0 UNION SELECT u.o FROM ind, pg_catalog.unnest(ind.indcollation::oid[]) AS u (o) WHERE u.o <> 0),
op (oid) AS (SELECT DISTINCT u.o FROM ind, pg_catalog.unnest(ind.indclass::oid[]) AS u (o))
SELECT 'type', pg_catalog.format_type(t.oid, NULL), NULL FROM typ JOIN pg_catalog.pg_type t USING (oid) WHERE t.oid >= 16384 AND t.typcategory <> 'A'
UNION ALL SELECT 'collation', pg_catalog.format('%I.%I', n.nspname, c.collname), pg_catalog.pg_collation_actual_version(c.oid)
  FROM coll JOIN pg_catalog.pg_collation c USING (oid) JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE c.collprovider <> 'd'
UNION ALL SELECT 'collation', '', pg_catalog.pg_database_collation_actual_version(d.oid) FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
UNION ALL SELECT 'extension', e.extname, e.extversion FROM pg_catalog.pg_extension e WHERE EXISTS (
  SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND (
    (d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid IN (SELECT oid FROM typ)) OR (d.classid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND d.objid IN (SELECT oid FROM op))
    OR (d.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass AND d.objid IN (SELECT oid FROM coll))))
ORDER BY 1, 2`;

/** The same things as the target has them; missing where it does not. */
const foundQuery = `
SELECT need.kind, need.name, CASE need.kind
  WHEN 'collation' THEN CASE WHEN need.name = '' THEN (SELECT pg_catalog.pg_database_collation_actual_version(d.oid) FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
    ELSE pg_catalog.pg_collation_actual_version(pg_catalog.to_regcollation(need.name)) END
  WHEN 'extension' THEN (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = need.name) END
FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS need (kind, name)
WHERE CASE need.kind WHEN 'type' THEN pg_catalog.to_regtype(need.name) IS NOT NULL WHEN 'collation' THEN need.name = '' OR pg_catalog.to_regcollation(need.name) IS NOT NULL
  ELSE EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = need.name) END`;

/** What the servers must have in common, or should. */
export async function checkServers(source: NodeConnections, target: NodeConnections, { tables, ...options }: CallOptions & { readonly tables: readonly PreflightTable[] }): Promise<PreflightCheck[]> {
  const [needs, versions] = await Promise.all([
    readNeeds(source, { text: needsQuery, values: [tables.map(({ sql }) => sql)] }, options),
    Promise.all([source, target].map((node) => versionOf(node, options))),
  ]);
  const found = await readNeeds(target, { text: foundQuery, values: [needs.map(({ kind }) => kind), needs.map(({ name }) => name)] }, options);
  const there = (need: Need): Need | undefined => found.find(({ kind, name }) => kind === need.kind && name === need.name);
  const node = target.name;
  const missing = needs.filter((need) => there(need) === undefined);
  const lacks = (kind: Need['kind'], check: PreflightCheck['check']): PreflightCheck[] =>
    missing.filter((need) => need.kind === kind).map(({ name }) => ({ check, ok: false, level: 'error', node, message: `Node ${node} lacks ${kind} ${name}`, hint: 'Create it there as well, just as it is on the source.' }));
  const differs = (kind: Need['kind'], check: PreflightCheck['check'], hint: string): PreflightCheck[] =>
    needs.filter((need) => need.kind === kind && there(need) !== undefined && there(need)?.version !== need.version).map((need) => ({
      check, ok: false, level: 'warning', node, message: `${nameOf(need)} has version ${need.version ?? 'none'} on the source and ${there(need)?.version ?? 'none'} on node ${node}`, hint,
    }));
  const orGood = (checks: PreflightCheck[], check: PreflightCheck['check'], message: string): PreflightCheck[] => (checks.length > 0 ? checks : [{ check, ok: true, level: 'error', node, message, hint: null }]);
  return [
    versionCheck(versions as [string, string], node),
    ...orGood([...lacks('extension', 'extensions'), ...differs('extension', 'extensions', 'ALTER EXTENSION … UPDATE on the older one.')], 'extensions', 'The extensions that the tables need are there'),
    ...orGood(lacks('type', 'types'), 'types', 'The types of the columns are there'),
    ...orGood([...lacks('collation', 'collations'), ...differs('collation', 'collations', 'Texts may be in another order there, and queries over both nodes may merge them wrongly: use the same versions of the system.')], 'collations', 'Collations are there, of the same versions'),
  ];
}

function nameOf({ kind, name }: Need): string {
  return name === '' ? 'The collation of the database' : `${kind === 'extension' ? 'Extension' : 'Collation'} ${name}`;
}

function versionCheck([source, target]: [string, string], node: string): PreflightCheck {
  const ok = source.split('.')[0] === target.split('.')[0];
  const message = ok ? `Both servers are of version ${source.split('.')[0]}` : `The source is of version ${source}, node ${node} of ${target}`;
  return { check: 'server_version', ok, level: 'warning', node, message, hint: ok ? null : 'What the older one does not know cannot be moved to it. Use the same major version everywhere.' };
}

async function versionOf(node: NodeConnections, options: CallOptions): Promise<string> {
  const { rows } = await node.query({ text: `SELECT pg_catalog.current_setting('server_version')` }, options);
  return rows[0]?.[0] ?? '';
}

/** Names are qualified by the settings of the transaction. */
async function readNeeds(node: NodeConnections, query: { readonly text: string; readonly values: readonly unknown[] }, options: CallOptions): Promise<Need[]> {
  const connection = await node.acquire(options);
  let failure: { readonly error: unknown } | undefined;
  try {
    await connection.query({ text: `BEGIN READ ONLY; ${definitionSettings}`, simple: true }, options);
    const { rows } = await connection.query(query, options);
    await connection.query({ text: 'COMMIT' }, options);
    return rows.map(([kind, name, version]) => ({ kind: kind as Need['kind'], name: name ?? '', version: version ?? null }));
  } catch (error) {
    failure = { error };
    throw error;
  } finally {
    connection.release(failure);
  }
}

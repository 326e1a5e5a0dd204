import { createHash } from 'node:crypto';

/** The code of the error that `comparedShells` and `afterCommitting` raise for a shell that was used; its message says how: `read` or `changed`. */
export const shellUsed = 'SWSHL';

/** Keeps, for the transaction, what it has done to the shells of distributed and reference tables. */
export function notedShells(): string {
  return `SELECT shardwright.note_shells_${hash()}()`;
}

/** Fails with `shellUsed` where it has done more to them since. */
export function comparedShells(): string {
  return `SELECT shardwright.compare_shells_${hash()}()`;
}

/** Creates the functions behind the two. As functions of PL/pgSQL they keep their plans for the session: to make these takes longer than to run them. They have the rights of their caller, and names with a hash of their texts. */
export function installShellUses(): string {
  return Object.entries(bodies).map(([name, body]) => `CREATE OR REPLACE FUNCTION shardwright.${name}_${hash()}() RETURNS void LANGUAGE plpgsql AS $shells$ ${body} $shells$;
GRANT EXECUTE ON FUNCTION shardwright.${name}_${hash()}() TO PUBLIC`).join(';\n');
}

function hash(): string {
  return createHash('sha256').update(JSON.stringify(bodies)).digest('hex').slice(0, 8);
}

/** The two for code that ends transactions itself: what it has read is in the counts of all, once its transactions are over. */
export const beforeCommitting = `SELECT ${keeping(readings(totalScans), 'false')}`;
export const afterCommitting = `DO $shardwright$ ${comparing(readings(totalScans))} $shardwright$`;

/** Whether a lock of a shell is a change's: of most; of a trigger or foreign key, but for one of a local table that refers to a reference table; of a partition that was attached. */
const isOfChange = `(l.mode IN ('AccessExclusiveLock', 'ShareLock') OR l.mode = 'ShareRowExclusiveLock' AND t.kind <> 'reference' OR l.mode = 'ShareUpdateExclusiveLock' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i
        WHERE i.inhparent = t.relation::oid AND NOT EXISTS (SELECT FROM shardwright.distributed_table p WHERE p.relation::oid = i.inhrelid)))`;

const bodies = { note_shells: `BEGIN PERFORM ${keeping(usesInTransaction(), 'true')}; END`, compare_shells: comparing(usesInTransaction()) };

function keeping(uses: string, isLocal: string): string {
  return `pg_catalog.set_config('shardwright.shells_used', (SELECT coalesce(pg_catalog.string_agg(used, ' '), '') FROM (${uses}) AS u), ${isLocal})`;
}

function comparing(uses: string): string {
  return `DECLARE shell record; BEGIN
    SELECT coalesce(c.relname, u.relation::text) AS relname, coalesce(n.nspname, '') AS nspname, u.kind INTO shell FROM (${uses}) AS u LEFT JOIN pg_catalog.pg_class c ON c.oid = u.relation LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE u.used <> ALL (pg_catalog.string_to_array(coalesce(pg_catalog.current_setting('shardwright.shells_used', true), ''), ' ')) ORDER BY u.kind LIMIT 1;
    IF FOUND THEN RAISE EXCEPTION USING MESSAGE = shell.kind, ERRCODE = '${shellUsed}', SCHEMA = shell.nspname, TABLE = shell.relname; END IF;
  END`;
}

/**
 * What the transaction has done to shells: a row for each of them, and of their indexes, that it has scanned, with how often, and for each whose definition it has locked as a change does. Looking at locks keeps all sessions from taking some
 * meanwhile; who has no transaction ID has changed nothing.
 */
function usesInTransaction(): string {
  return `${readings(scans)}
    UNION ALL SELECT t.relation::oid, 'changed', 'c' || t.relation::oid FROM shardwright.distributed_table t JOIN (SELECT DISTINCT relation, mode FROM pg_catalog.pg_locks
      WHERE locktype = 'relation' AND pid = pg_catalog.pg_backend_pid() AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) AS l ON l.relation = t.relation::oid
      WHERE pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL AND ${isOfChange}`;
}

/** Copies of reference tables have all rows. Indexes are found by all tables at once, whatever is known of how many these are: with each looked at by itself it takes three times as long. */
function readings(counted: (oid: string) => string): string {
  const shells = 'SELECT t.relation::oid AS relation FROM shardwright.distributed_table t WHERE NOT t.shell_is_copy';
  const reading = (relation: string, oid: string): string => `SELECT ${relation} AS relation, 'read' AS kind, 'r' || ${oid} || ':' || ${counted(oid)} AS used`;
  return `${reading('s.relation', 's.relation')} FROM (${shells}) AS s WHERE ${counted('s.relation')} > 0
    UNION ALL ${reading('i.indrelid', 'i.indexrelid')} FROM pg_catalog.pg_index i WHERE i.indrelid = ANY (ARRAY(${shells})) AND ${counted('i.indexrelid')} > 0`;
}

/** Of a table's OID: how often the transaction has scanned it or an index of it. */
export function scansOf(oid: string): string {
  return `SELECT ${scans(oid)} + coalesce((SELECT pg_catalog.sum(${scans('i.indexrelid')}) FROM pg_catalog.pg_index i WHERE i.indrelid = ${oid}), 0)`;
}

function scans(oid: string): string {
  return `pg_catalog.pg_stat_get_xact_numscans(${oid})`;
}

/** How often anybody has. */
function totalScans(oid: string): string {
  return `(${scans(oid)} + pg_catalog.pg_stat_get_numscans(${oid}))`;
}

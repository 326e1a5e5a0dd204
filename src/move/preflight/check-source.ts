import type { CallOptions, NodeConnections } from '../../cluster/node-connection.ts';
import { sizeText } from '../../base/size-text.ts';
import { checkForeignCode } from './foreign-code.ts';
import type { PreflightCheck } from './preflight-check.ts';
import type { PreflightTable } from './run-preflight.ts';

/**
 * A slot begins when all transactions that have written are over. One that is prepared waits for somebody to finish it; those of commits under way take milliseconds.
 */
const sourceQuery = `
SELECT current_setting('wal_level'),
  current_setting('max_replication_slots')::integer - (SELECT count(*) FROM pg_catalog.pg_replication_slots),
  current_setting('max_wal_senders')::integer - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender'),
  (SELECT rolsuper OR rolreplication OR EXISTS (SELECT FROM pg_catalog.pg_roles g WHERE g.rolname IN ('rds_replication', 'cloudsqlsuperuser', 'azure_pg_admin')
    AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')) FROM pg_catalog.pg_roles r WHERE rolname = current_user),
  current_user, pg_catalog.pg_is_in_recovery(),
  (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(gid), ', ') FROM pg_catalog.pg_prepared_xacts WHERE prepared < pg_catalog.clock_timestamp() - interval '10 s'),
  (SELECT pg_catalog.string_agg(pid::text, ', ') FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND xact_start < pg_catalog.clock_timestamp() - interval '10 s'),
  (SELECT setting::bigint * 1048576 FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size')`;

/** `bytes`: of the shards, `indexBytes` among them. */
export async function checkSource(source: NodeConnections, tables: readonly PreflightTable[], options: CallOptions): Promise<{ checks: PreflightCheck[]; bytes: number; indexBytes: number }> {
  const [{ rows }, { table, index }, identities, code] = await Promise.all([
    source.query({ text: sourceQuery }, options), sizes(source, tables, options), identitiesOf(source, tables, options), checkForeignCode(source, { tables: tables.map(({ sql }) => sql), name: source.name }, options),
  ]);
  const [walLevel = '', slots, senders, replicates, role = '', standby, prepared, long, keepBytes] = rows[0] ?? [];
  const where = `node ${source.name}`;
  const one = (check: PreflightCheck['check'], ok: boolean, messages: { readonly good: string; readonly bad: string; readonly hint?: string; readonly level?: 'warning' }): PreflightCheck => ({
    check, ok, level: messages.level ?? 'error', node: source.name, message: ok ? messages.good : messages.bad, hint: ok ? null : (messages.hint ?? null),
  });
  const bytes = table + index;
  const keeps = Number(keepBytes ?? -1);
  return {
    bytes,
    indexBytes: index,
    checks: [
      one('wal_level', walLevel === 'logical', { good: 'wal_level is logical', bad: `wal_level of ${where} is ${walLevel ?? 'unknown'}, not logical`, hint: 'Set wal_level = logical and restart the server.' }),
      one('replication_slots', Number(slots) > 0, { good: `${slots} replication slots are free`, bad: `All replication slots of ${where} are taken (max_replication_slots)`, hint: 'pg_replication_slots has those that are there.' }),
      one('wal_senders', Number(senders) > 0, { good: `${senders} senders are free`, bad: `All senders of ${where} are taken (max_wal_senders)` }),
      one('replication_role', replicates === 't', { good: `Role ${role ?? ''} may replicate`, bad: `Role ${role ?? ''} lacks the attribute REPLICATION on ${where}`, hint: 'ALTER ROLE … REPLICATION, as a superuser.' }),
      one('standby', standby === 'f', { good: 'The source takes writes', bad: `${where} is a standby` }),
      one('prepared_transactions', prepared === null, { good: 'No prepared transaction keeps a slot from being made', bad: `Prepared transactions on ${where} keep a slot from being made: ${prepared ?? ''}`, hint: 'cluster.recover() finishes those of the library.' }),
      one('long_transactions', long === null, {
        good: 'No transaction that has written is older than 10 seconds', bad: `Transactions on ${where} that have written are open for over 10 seconds, and the move begins when they are over: those of processes ${long ?? ''}`, level: 'warning',
      }),
      one('retained_wal', keeps < 0 || keeps > bytes, {
        good: keeps < 0 ? 'The source keeps its log for as long as the move takes' : `The source keeps up to ${sizeText(keeps)} of its log for a slot`,
        bad: `${where} keeps no more than ${sizeText(keeps)} of its log for a slot (max_slot_wal_keep_size), less than the shards have`, level: 'warning',
        hint: 'A slot that is lost makes the move be undone.',
      }),
      ...identities,
      ...code,
    ],
  };
}

async function sizes(source: NodeConnections, tables: readonly PreflightTable[], options: CallOptions): Promise<{ table: number; index: number }> {
  const text = 'SELECT sum(pg_catalog.pg_table_size(r)), sum(pg_catalog.pg_indexes_size(r)) FROM pg_catalog.unnest($1::text[]) AS name, LATERAL pg_catalog.to_regclass(name) AS r';
  const { rows } = await source.query({ text, values: [tables.map(({ sql }) => sql)] }, options);
  const [table = 0, index = 0] = (rows[0] ?? []).map(Number);
  return { table, index };
}

/** Tables that only whole rows tell apart: see `replica-identity.ts`. */
const keylessQuery = `
SELECT name FROM pg_catalog.unnest($1::text[]) AS name JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(name)
WHERE c.relkind = 'r' AND (c.relreplident = 'f' OR NOT EXISTS (SELECT FROM pg_catalog.pg_index i
  WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k (position, place)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.position
      WHERE k.place <= i.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> ''))))`;

async function identitiesOf(source: NodeConnections, tables: readonly PreflightTable[], options: CallOptions): Promise<PreflightCheck[]> {
  const { rows } = await source.query({ text: keylessQuery, values: [tables.map(({ sql }) => sql)] }, options);
  const common = { check: 'replica_identity', level: 'warning', node: source.name } as const;
  if (rows.length === 0) return [{ ...common, ok: true, message: 'All tables have a key that tells rows apart', hint: null }];
  return rows.map(([name]): PreflightCheck => ({
    ...common, ok: false, message: `Rows of ${name ?? ''} are told apart by all their columns (REPLICA IDENTITY FULL)`,
    hint: 'With each batch of updates and deletes the whole table is read on the target: give it a primary key, or a unique index over columns that are NOT NULL.',
  }));
}

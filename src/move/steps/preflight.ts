import { ClusterError } from '../../base/errors.ts';
import type { NodeConnections } from '../../cluster/node-connection.ts';
import { loadGrammar } from '../../sql/parse.ts';
import type { MoveContext } from '../move-context.ts';
import { readMovedGroup, type MovedGroup } from '../moved-tables.ts';

/** Whether the move can begin: `moveRefused` with all objections at once, and nothing was touched. */
export async function preflight(context: MoveContext): Promise<void> {
  await loadGrammar();
  const { pools, job, signal } = context;
  const group = await readMovedGroup(pools, job.shardGroup, { signal });
  const objections = [
    ...objectionsToPlaces(context, group),
    ...group.tables.flatMap(({ definition }) => objectionsToTable(definition)),
    ...(await objectionsToSource(pools.get(job.source), signal)),
    ...(await objectionsToTarget(pools.get(job.target), group, signal)),
  ];
  if (objections.length === 0) return;
  throw new ClusterError('moveRefused', `shard group ${job.shardGroup} cannot be moved`, { detail: `${objections.join('. ')}.`, hint: 'Nothing was changed. Start the move again when this is settled.' });
}

function objectionsToPlaces({ job }: MoveContext, group: MovedGroup): string[] {
  if (group.node !== job.source) return [`It is on node ${group.node}, not on node ${job.source}`];
  return job.source === job.target ? [`It is on node ${job.target} already`] : [];
}

function objectionsToTable({ name, kind, persistence }: MovedGroup['tables'][number]['definition']): string[] {
  return [
    ...(kind === 'r' ? [] : [`Table "${name}" is partitioned`]),
    ...(persistence === 'p' ? [] : [`Table "${name}" is not logged, so its changes cannot be followed`]),
  ];
}

/**
 * A slot begins when all transactions that have written are over. One that is prepared waits for somebody to finish it; those of commits under way take milliseconds.
 */
const sourceQuery = `
SELECT current_setting('wal_level'),
  current_setting('max_replication_slots')::integer - (SELECT count(*) FROM pg_catalog.pg_replication_slots),
  current_setting('max_wal_senders')::integer - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender'),
  (SELECT rolsuper OR rolreplication OR EXISTS (SELECT FROM pg_catalog.pg_roles g WHERE g.rolname IN ('rds_replication', 'cloudsqlsuperuser', 'azure_pg_admin')
    AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')) FROM pg_catalog.pg_roles r WHERE rolname = current_user),
  (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(gid), ', ') FROM pg_catalog.pg_prepared_xacts WHERE prepared < pg_catalog.clock_timestamp() - interval '10 s'),
  current_user`;

async function objectionsToSource(source: NodeConnections, signal: AbortSignal): Promise<string[]> {
  const { rows } = await source.query({ text: sourceQuery }, { signal });
  const [walLevel, slots, senders, replicates, prepared, role] = rows[0] ?? [];
  const where = `node ${source.name}`;
  return [
    ...(walLevel === 'logical' ? [] : [`wal_level of ${where} is ${walLevel ?? 'unknown'}, not logical`]),
    ...(Number(slots) > 0 ? [] : [`All replication slots of ${where} are taken (max_replication_slots)`]),
    ...(Number(senders) > 0 ? [] : [`All senders of ${where} are taken (max_wal_senders)`]),
    ...(replicates === 't' ? [] : [`Role ${role ?? ''} lacks the attribute REPLICATION on ${where}`]),
    ...(typeof prepared === 'string' ? [`Prepared transactions on ${where} keep a slot from being made: ${prepared}`] : []),
  ];
}

async function objectionsToTarget(target: NodeConnections, group: MovedGroup, signal: AbortSignal): Promise<string[]> {
  const text = 'SELECT name FROM pg_catalog.unnest($1::text[]) AS name WHERE pg_catalog.to_regclass(name) IS NOT NULL';
  const { rows } = await target.query({ text, values: [group.tables.map(({ sql }) => sql)] }, { signal });
  return rows.map(([name]) => `${name ?? ''} exists on node ${target.name}`);
}

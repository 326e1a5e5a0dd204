import { ClusterError } from '../../base/errors.ts';
import type { NodeConnections } from '../../cluster/node-connection.ts';
import type { TableDefinition } from '../../ddl/table-definition.ts';
import { loadGrammar } from '../../sql/parse.ts';
import type { MoveContext } from '../move-context.ts';
import { type MovedGroups, nodesOf, readMovedGroups, type TargetShard } from '../moved-tables.ts';
import { shardsOn } from './create.ts';

/** Whether the move can begin: `moveRefused` with all objections at once, and nothing was touched. */
export async function preflight(context: MoveContext): Promise<void> {
  await loadGrammar();
  const { pools, job, signal } = context;
  const groups = await readMovedGroups(pools, job, { signal });
  const { sources, targets } = groups;
  const objections = [
    ...objectionsToPlaces(context, groups),
    ...(sources[0]?.tables ?? []).flatMap(({ definition }) => objectionsToTable(definition)),
    ...(await Promise.all(nodesOf(sources).map((node) => objectionsToSource(pools.get(node), signal)))).flat(),
    ...(await Promise.all(nodesOf(targets).map((node) => objectionsToTarget(pools.get(node), shardsOn(targets, node), signal)))).flat(),
  ];
  if (objections.length === 0) return;
  const which = sources.map(({ id }) => id).join(' and ');
  const done = { move: 'moved', split: 'split', merge: 'merged' }[job.kind];
  throw new ClusterError('moveRefused', `shard group ${which} cannot be ${done}`, { detail: `${objections.join('. ')}.`, hint: 'Nothing was changed. Start the move again when this is settled.' });
}

function objectionsToPlaces({ job }: MoveContext, { sources, targets }: MovedGroups): string[] {
  const elsewhere = sources.filter(({ node }, i) => node !== job.sources[i]?.node);
  if (elsewhere.length > 0) return elsewhere.map(({ id, node }) => `Shard group ${id} is on node ${node}, not on node ${job.sources.find(({ group }) => group === id)?.node}`);
  const there = targets.filter((target) => sources.some(({ id, node }) => id === target.id && node === target.node));
  return there.map(({ node }) => `It is on node ${node} already`);
}

function objectionsToTable({ name, kind, persistence }: TableDefinition): string[] {
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

async function objectionsToTarget(target: NodeConnections, shards: readonly TargetShard[], signal: AbortSignal): Promise<string[]> {
  const text = 'SELECT name FROM pg_catalog.unnest($1::text[]) AS name WHERE pg_catalog.to_regclass(name) IS NOT NULL';
  const { rows } = await target.query({ text, values: [shards.map(({ sql }) => sql)] }, { signal });
  return rows.map(([name]) => `${name ?? ''} exists on node ${target.name}`);
}

import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { registerObjects, storeDefinitions } from '../../store/jobs.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { type MovedGroups, type MovedShard, nodesOf, shardsWithRows, type TargetShard } from '../moved-tables.ts';
import { refuseForeignCode } from '../preflight/foreign-code.ts';
import { inOneSnapshot, readGroupsIn } from '../read-groups.ts';
import { renderTarget } from '../render-target.ts';
import { readReplicaIdentity } from '../../replication/replica-identity.ts';
import { runWithShortLocks, withConnection } from '../../cluster/with-connection.ts';

/** Empty tables on the targets, and on the sources what the streams of changes need: each node in one transaction, and anew when the step is done again. */
export async function create(context: MoveContext): Promise<void> {
  await loadGrammar();
  const groups = await inOneSnapshot(context.pools, context, async (coordinator) => {
    const found = await readGroupsIn(coordinator, context.job, context);
    await refuseCodeOf(coordinator, found, context.signal);
    return found;
  });
  await storeDefinitions(context.claim, context.job.id, groups.fingerprint);
  for (const node of nodesOf(groups.targets)) await createOnTarget(context, node, shardsOn(groups.targets, node));
  for (const node of nodesOf(groups.sources)) await prepareSource(context, node, shardsWithRows(shardsOn(groups.sources, node)));
}

/** Definitions that stay what they were in the coordinator's transaction run no code of a role that has not the rights of ours. */
export function refuseCodeOf(coordinator: NodeConnection, { sources }: MovedGroups, signal: AbortSignal): Promise<void> {
  const tables = sources.flatMap((source) => source.tables.map(({ definition: { schema, name } }) => quoteQualified(schema, name)));
  return refuseForeignCode(coordinator, [...new Set(tables)], { signal });
}

/** Of all groups that are on the node. */
export function shardsOn<T extends MovedShard>(groups: readonly { readonly node: NodeId; readonly tables: readonly T[] }[], node: NodeId): T[] {
  return groups.flatMap((group) => (group.node === node ? group.tables : []));
}

export async function createOnTarget(context: MoveContext, node: NodeId, shards: readonly TargetShard[]): Promise<void> {
  const { pools, signal } = context;
  const { staging } = namesOf(context);
  const schema = quoteIdentifier(staging);
  const text = [
    'BEGIN', definitionSettings, `DROP SCHEMA IF EXISTS ${schema} CASCADE`, `CREATE SCHEMA ${schema}`,
    `CREATE TABLE ${positionTable(staging)} (source integer PRIMARY KEY, lsn pg_lsn NOT NULL)`,
    `CREATE TABLE ${completedTable(staging)} (shard_id bigint PRIMARY KEY)`,
    ...shards.flatMap((shard) => renderTarget(shard, staging).create), ...shards.flatMap((shard) => renderTarget(shard, staging).attach),
  ].join(';\n');
  await withConnection(pools.get(node), signal, async (connection) => {
    await connection.query({ text, simple: true }, { signal });
    // Here the same names may mean something of another role's.
    await refuseForeignCode(connection, shards.map(({ name }) => quoteQualified(staging, name)), { signal });
    await connection.query({ text: 'COMMIT' }, { signal });
  });
}

/**
 * Replica identities are there before the publication, and go after it: a table that is published without one refuses updates.
 */
export async function prepareSource(context: MoveContext, node: NodeId, shards: readonly MovedShard[]): Promise<void> {
  const { pools, job, claim, signal } = context;
  const source = pools.get(node);
  const changed: string[] = [];
  for (const shard of shards) {
    const { oid, now, needed } = await readReplicaIdentity(source, shard, signal);
    if (now === needed) continue;
    await registerObjects(claim, job.id, [{ node, kind: 'replica_identity', name: oid, detail: now }]);
    changed.push(`ALTER TABLE ${shard.sql} REPLICA IDENTITY ${needed}`);
  }
  const publication = quoteIdentifier(namesOf(context).publication);
  const tables = shards.map(({ sql }) => `ONLY ${sql}`).join(', ');
  await runWithShortLocks(source, [`DROP PUBLICATION IF EXISTS ${publication}`, ...changed, `CREATE PUBLICATION ${publication} FOR TABLE ${tables}`], { signal });
}

/** A row for each source node: how far its changes are applied. */
export function positionTable(staging: string): string {
  return quoteQualified(staging, 'shardwright_position');
}

/** Which tables have their indexes. */
export function completedTable(staging: string): string {
  return quoteQualified(staging, 'shardwright_completed');
}

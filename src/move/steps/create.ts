import { definitionSettings } from '../../ddl/definition-settings.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { registerObjects, storeDefinitions } from '../../store/jobs.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { readMovedGroup, type MovedGroup } from '../moved-tables.ts';
import { renderTarget } from '../render-target.ts';
import { readReplicaIdentity } from '../replica-identity.ts';
import { runWithShortLocks, withConnection } from '../with-connection.ts';

/** Empty tables on the target, and on the source what the stream of changes needs: each in one transaction, and anew when the step is done again. */
export async function create(context: MoveContext): Promise<void> {
  await loadGrammar();
  const group = await readMovedGroup(context.pools, context.job.shardGroup, context);
  await storeDefinitions(context.claim, context.job.id, group.fingerprint);
  await createOnTarget(context, group);
  await prepareSource(context, group);
}

async function createOnTarget({ pools, job, signal, ...context }: MoveContext, group: MovedGroup): Promise<void> {
  const { staging } = namesOf({ ...context, job });
  const schema = quoteIdentifier(staging);
  const text = [
    'BEGIN', definitionSettings, `DROP SCHEMA IF EXISTS ${schema} CASCADE`, `CREATE SCHEMA ${schema}`,
    `CREATE TABLE ${positionTable(staging)} (one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row), lsn pg_lsn NOT NULL)`,
    `CREATE TABLE ${completedTable(staging)} (shard_id bigint PRIMARY KEY)`,
    ...group.tables.flatMap((table) => renderTarget(table, staging).create), 'COMMIT',
  ].join(';\n');
  await withConnection(pools.get(job.target), signal, (connection) => connection.query({ text, simple: true }, { signal }));
}

/**
 * Replica identities are there before the publication, and go after it: a table that is published without one refuses updates.
 */
async function prepareSource({ pools, job, claim, signal, ...context }: MoveContext, group: MovedGroup): Promise<void> {
  const source = pools.get(job.source);
  const changed: string[] = [];
  for (const table of group.tables) {
    const { oid, now, needed } = await readReplicaIdentity(source, table, signal);
    if (now === needed) continue;
    await registerObjects(claim, job.id, [{ node: job.source, kind: 'replica_identity', name: oid, detail: now }]);
    changed.push(`ALTER TABLE ${table.sql} REPLICA IDENTITY ${needed}`);
  }
  const publication = quoteIdentifier(namesOf({ ...context, job }).publication);
  const tables = group.tables.map(({ sql }) => `ONLY ${sql}`).join(', ');
  await runWithShortLocks(source, [`DROP PUBLICATION IF EXISTS ${publication}`, ...changed, `CREATE PUBLICATION ${publication} FOR TABLE ${tables}`], { signal });
}

/** One row: how far the changes are applied. */
export function positionTable(staging: string): string {
  return quoteQualified(staging, 'shardwright_position');
}

/** Which tables have their indexes. */
export function completedTable(staging: string): string {
  return quoteQualified(staging, 'shardwright_completed');
}

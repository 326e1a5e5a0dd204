import { ClusterError, sqlStateOf } from '../../base/errors.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import type { DefinitionChange } from './definition-change.ts';

/** In order of strength, from the weakest that a change of definitions takes on. */
const modes = ['SHARE UPDATE EXCLUSIVE', 'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE'] as const;
export type LockMode = (typeof modes)[number];

/** The locks that the statement has taken on shells, by OID: the same are right for the shards. */
export async function heldLocks({ coordinator, options }: DefinitionChange): Promise<Map<number, LockMode>> {
  const { rows } = await coordinator.query({
    text: `SELECT relation::bigint, mode FROM pg_locks WHERE locktype = 'relation' AND pid = pg_backend_pid() AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  }, options);
  const locks = new Map<number, LockMode>();
  for (const [relation, name] of rows) {
    const mode = modes.find((candidate) => `${candidate.toLowerCase().replaceAll(' ', '')}lock` === name?.toLowerCase());
    const known = locks.get(Number(relation));
    if (mode !== undefined && (known === undefined || modes.indexOf(known) < modes.indexOf(mode))) locks.set(Number(relation), mode);
  }
  return locks;
}

export interface ShardLock {
  readonly shard: string;
  readonly mode: LockMode;
}

/**
 * Takes the locks of one node, in the order given. `lock_timeout` is about each single one; what waits for a shard keeps others from it meanwhile, so there is one limit for all.
 */
export async function lockShards(connection: NodeConnection, locks: readonly ShardLock[], { lockTimeoutMs, options }: DefinitionChange): Promise<void> {
  const texts = modes.flatMap((mode) => {
    const shards = locks.filter((lock) => lock.mode === mode).map(({ shard }) => shard);
    return shards.length === 0 ? [] : [`LOCK TABLE ONLY ${shards.join(', ONLY ')} IN ${mode} MODE`];
  });
  if (texts.length === 0) return;
  try {
    const [own] = await connection.queryEach([`SELECT pg_catalog.current_setting('statement_timeout')`, `SET LOCAL statement_timeout = ${lockTimeoutMs}`, ...texts].join(';\n'), options);
    await connection.query({ text: `SELECT pg_catalog.set_config('statement_timeout', $1, true)`, values: [own?.rows[0]?.[0] ?? '0'] }, options);
  } catch (error) {
    throw options.signal?.aborted !== true && sqlStateOf(error) === '57014' && lockTimeoutMs > 0 ? lockNotAvailable(error) : error;
  }
}

function lockNotAvailable(cause: unknown): ClusterError {
  return new ClusterError('lockNotAvailable', 'canceling statement due to lock timeout', {
    detail: 'Other transactions hold locks on shards of the table.', hint: 'Try it again, or raise ddlLockTimeoutMs.', cause,
  });
}

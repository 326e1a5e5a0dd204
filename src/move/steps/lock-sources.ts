import { setTimeout as delay } from 'node:timers/promises';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import type { MovedShard } from '../moved-tables.ts';
import { isLockConflict } from '../../cluster/with-connection.ts';

/** Of each source node, the transaction's connection and the shards to lock. */
export interface LockedNode {
  readonly connection: NodeConnection;
  readonly shards: readonly MovedShard[];
}

/** Short ones come first: whoever waits meanwhile, waits for as long. */
const shortTries = 8;
const shortMs = 30;
const pauseMs = 10;

/**
 * ACCESS EXCLUSIVE on all shards of all sources. A statement that has locked one of them may be about to lock another, which waits for us then as we wait for it: no server can know that of two nodes, and on one
 * it takes longer to be found out than we may wait. So waiting long is of no use as often as not, and short tries come first, between which all goes on; the last one is `timeoutMs` long, for transactions that
 * take their time. Resolves to when the last try began, as of `performance.now()`. A lock conflict when none succeeds.
 */
export async function lockSources(nodes: readonly LockedNode[], timeoutMs: number, signal: AbortSignal): Promise<number> {
  const busy = nodes.filter(({ shards }) => shards.length > 0);
  const onAll = (text: (node: LockedNode) => string): Promise<unknown> => Promise.all(busy.map((node) => node.connection.query({ text: text(node), simple: true }, { signal })));
  for (let tries = 1; ; tries += 1) {
    const isLast = tries > shortTries;
    const waitMs = isLast ? timeoutMs : Math.min(shortMs, timeoutMs);
    const began = performance.now();
    try {
      await onAll(({ shards }) => `SAVEPOINT before_locks; SET LOCAL lock_timeout = ${waitMs}; ${lockSql(shards)}; SET LOCAL lock_timeout = ${timeoutMs}`);
      return began;
    } catch (error) {
      if (isLast || !isLockConflict(error)) throw error;
    }
    // Sent behind locks that are still waited for; lets go of those that were had.
    await onAll(() => 'ROLLBACK TO SAVEPOINT before_locks');
    await delay(pauseMs * (0.5 + Math.random()), undefined, { signal });
  }
}

function lockSql(shards: readonly MovedShard[]): string {
  return `LOCK TABLE ONLY ${referringFirst(shards).map(({ sql }) => sql).join(', ONLY ')} IN ACCESS EXCLUSIVE MODE`;
}

/** Tables before those that their foreign keys refer to, in the order in which an INSERT locks them. */
export function referringFirst(shards: readonly MovedShard[]): MovedShard[] {
  const ordered = new Set<MovedShard>();
  const visit = (shard: MovedShard, above: readonly MovedShard[]): void => {
    if (ordered.has(shard) || above.includes(shard)) return;
    for (const other of shards) if (refersTo(other, shard)) visit(other, [...above, shard]);
    ordered.add(shard);
  };
  for (const shard of shards) visit(shard, []);
  return [...ordered];
}

function refersTo(one: MovedShard, other: MovedShard): boolean {
  return (one.definition.constraints ?? []).some(({ foreign }) => foreign?.table.oid === other.definition.oid);
}

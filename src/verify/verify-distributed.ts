import { setTimeout as delay } from 'node:timers/promises';
import { allOrAbort } from '../base/abort.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import type { RowDifference } from './row-difference.ts';
import type { FoundRows, TableCheck } from './verify-context.ts';
import { type PlacedShard, placedShards, verifyShard } from './verify-shard.ts';

const pauseMs = 200;
/** Within this time a shard that is not where the catalog says is somewhere: a process that died between a move's decision and its last commit is followed by recovery. */
const patienceMs = 120_000;

/** Shard by shard, nodes side by side; each shard in a transaction of its own, so that none is held for longer than it takes. Those that are moved or split meanwhile are looked at where they are then. */
export async function verifyDistributed(check: TableCheck): Promise<FoundRows> {
  const seen = new Set<ShardId>();
  const found: RowDifference[] = [];
  let deadline = performance.now() + patienceMs;
  for (;;) {
    const left = placedShards(await check.services.newestCatalog({ signal: check.signal }), check.table).filter(({ id }) => !seen.has(id));
    if (left.length === 0 || found.length > check.differencesMax) return { differences: found.slice(0, check.differencesMax), complete: found.length <= check.differencesMax };
    const before = seen.size;
    await allOrAbort(check.signal, [...byNode(left)].map(([node, shards]) => (signal) => verifyNode({ ...check, signal }, { node, shards, seen, found })));
    if (seen.size > before) deadline = performance.now() + patienceMs;
    if (seen.size - before === left.length || found.length > check.differencesMax) continue;
    if (performance.now() > deadline) throw new ClusterError('shardMissing', `a shard of table "${check.table.name}" is not on the node that the catalog says`, { hint: 'See cluster.checkSchema().' });
    await delay(pauseMs, undefined, { signal: check.signal });
  }
}

function byNode(shards: readonly PlacedShard[]): Map<NodeId, PlacedShard[]> {
  const nodes = new Map<NodeId, PlacedShard[]>();
  for (const shard of shards) nodes.set(shard.group.node, [...(nodes.get(shard.group.node) ?? []), shard]);
  return nodes;
}

interface NodeWork {
  readonly node: NodeId;
  readonly shards: readonly PlacedShard[];
  readonly seen: Set<ShardId>;
  readonly found: RowDifference[];
}

async function verifyNode(check: TableCheck, { node, shards, seen, found }: NodeWork): Promise<void> {
  const connection = await check.services.pools.get(node).acquire({ signal: check.signal });
  let failure: { readonly error: unknown } | undefined;
  try {
    for (const shard of shards) {
      if (found.length > check.differencesMax) break;
      const differences = await verifyShard(check, shard, connection).catch(passOverMissing);
      if (differences === undefined) continue;
      seen.add(shard.id);
      found.push(...differences);
      check.done();
    }
  } catch (error) {
    failure = { error };
    throw error;
  } finally {
    connection.release(failure);
  }
}

function passOverMissing(error: unknown): undefined {
  if (sqlStateOf(error) !== '42P01') throw error;
}

import { at, present } from '../../base/assert.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { shardGroupFor } from '../../catalog/shard-for-hash.ts';
import type { LookedUpPlan } from '../../plan/lookups/looked-up-plan.ts';
import { constantValue, placerOf } from '../../plan/prune.ts';
import { askServerHash } from '../server-hash.ts';
import type { StatementScope } from '../statement-scope.ts';
import { lookupShard, lookupTableOf } from './lookup-shards.ts';

/** The distribution value, as text, of the row that has a key; null where there is none. Values are the caller's. */
export async function lookUp(scope: StatementScope, { lookup, keys }: Pick<LookedUpPlan, 'lookup' | 'keys'>, values: readonly unknown[]): Promise<string | null> {
  const key = keys.map((source) => constantValue(source, values));
  if (key.some((value) => value === null || value === undefined)) return null;
  const table = lookupTableOf(scope.snapshot, lookup);
  const placer = placerOf(table, scope.snapshot);
  const hash = present(placer.type).hashOf(key[0], placer.group.hash) ?? (await askServerHash(placer, table, key[0], (query) => scope.run(coordinatorNodeId, query, 'read')));
  if (hash === null) return null;
  const { node, sql, columns, types } = lookupShard(scope.snapshot, table, shardGroupFor(placer.group, hash).ordinal);
  const conditions = key.map((_, i) => `${at(columns, i)} = $${i + 1}::${at(types, i)}`).join(' AND ');
  const { rows } = await scope.run(node, { text: `SELECT ${at(columns, key.length)}::text FROM ${sql} WHERE ${conditions}`, values: key, repeats: scope.snapshot.version }, 'read');
  return rows[0]?.[0] ?? null;
}

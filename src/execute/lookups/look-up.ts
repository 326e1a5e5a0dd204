import { at, present } from '../../base/assert.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { distributionType } from '../../catalog/hash/distribution-type.ts';
import { shardGroupFor } from '../../catalog/shard-for-hash.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import { columnTypeName } from '../../plan/insert/plan-insert.ts';
import type { LookedUpPlan } from '../../plan/lookups/looked-up-plan.ts';
import { constantValues, placerOf } from '../../plan/prune.ts';
import { allSettledOrThrow } from '../../txn/run-batches.ts';
import { askServerHash } from '../server-hash.ts';
import type { StatementScope } from '../statement-scope.ts';
import { keyRows, lookupShard, lookupTableOf } from './lookup-shards.ts';

type Key = readonly unknown[];

/** More keys than this are not worth looking up: the rows are on most of the shards. */
const keysMax = 1_000;

/**
 * The distribution values, as texts, of the rows that have keys; each once. Values are the caller's. Undefined where the lookup cannot be asked: for too many keys, a list that only a server can read, and what is no value of its column, of
 * which the statement itself says what PostgreSQL says.
 */
export async function lookUp(scope: StatementScope, lookedUp: Pick<LookedUpPlan, 'lookup' | 'keys'>, values: readonly unknown[]): Promise<readonly string[] | undefined> {
  const table = lookupTableOf(scope.snapshot, lookedUp.lookup);
  const keys = keysOf(lookedUp, table, values);
  if (keys === undefined || keys.length === 0) return keys === undefined ? undefined : [];
  const ordinals = await Promise.all(keys.map(([first]) => ordinalOf(scope, table, first)));
  const byOrdinal = new Map<number, Key[]>();
  for (const [i, key] of keys.entries()) {
    const ordinal = ordinals[i];
    if (ordinal !== undefined) byOrdinal.set(ordinal, [...(byOrdinal.get(ordinal) ?? []), key]);
  }
  const found = await allSettledOrThrow([...byOrdinal].map(([ordinal, own]) => readShard(scope, { table, ordinal }, own)));
  return [...new Set(found.flat().map(([value]) => value ?? ''))];
}

/** All combinations of what the columns may be; a key with a NULL is none. */
function keysOf({ keys: sets }: Pick<LookedUpPlan, 'keys'>, table: DistributedTable, values: readonly unknown[]): readonly Key[] | undefined {
  let keys: Key[] = [[]];
  for (const [i, set] of sets.entries()) {
    const constants = constantValues(set, values);
    const type = distributionType(columnTypeName(at(table.columns, i)));
    if (constants === 'all') return undefined;
    const known = constants.filter((value) => value !== null && value !== undefined);
    if (known.some((value) => type?.canonical(value).kind === 'invalid') || keys.length * known.length > keysMax) return undefined;
    keys = keys.flatMap((key) => known.map((value) => [...key, value]));
  }
  return keys;
}

async function ordinalOf(scope: StatementScope, table: DistributedTable, value: unknown): Promise<number | undefined> {
  const placer = placerOf(table, scope.snapshot);
  const hash = present(placer.type).hashOf(value, placer.group.hash) ?? (await askServerHash(placer, table, value, (query) => scope.run(coordinatorNodeId, query, 'read')));
  return hash === null ? undefined : shardGroupFor(placer.group, hash).ordinal;
}

interface OneShard {
  readonly table: DistributedTable;
  readonly ordinal: number;
}

async function readShard(scope: StatementScope, { table, ordinal }: OneShard, keys: readonly Key[]): Promise<readonly RawRow[]> {
  const { snapshot } = scope;
  const shard = lookupShard(snapshot, table, ordinal);
  const { sql, columns, types } = shard;
  const [only] = keys;
  const width = present(only).length;
  const distribution = `l.${at(columns, width)}::text`;
  const same = (other: (i: number) => string): string => columns.slice(0, width).map((column, i) => `l.${column} = ${other(i)}`).join(' AND ');
  const text = keys.length === 1
    ? `SELECT ${distribution} FROM ${sql} AS l WHERE ${same((i) => `$${i + 1}::${at(types, i)}`)}`
    : `SELECT ${distribution} FROM ${sql} AS l JOIN ${keyRows({ ...shard, columns: columns.slice(0, width), types: types.slice(0, width) })} ON ${same((i) => `k.${at(columns, i)}`)}`;
  const sent = keys.length === 1 ? only : columns.slice(0, width).map((_, i) => keys.map((key) => key[i]));
  return (await scope.run(shard.node, { text, values: sent, repeats: snapshot.version }, 'read')).rows;
}

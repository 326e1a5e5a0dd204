import { at } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import { allSettledOrThrow } from '../../txn/run-batches.ts';
import type { StatementScope } from '../statement-scope.ts';
import type { LookupKey } from './lookup-change.ts';
import { type LookupShard, lookupShard, lookupTableOf, placeKeys } from './lookup-shards.ts';

/** For each key, as texts, the distribution value of the row that has it, as text; undefined where there is none, and for what is no key, since a part of it is NULL. One query for each node. */
export async function lookUpEach(scope: Pick<StatementScope, 'run' | 'snapshot'>, lookup: UniqueLookup, keys: readonly (readonly (string | null)[])[]): Promise<readonly (string | undefined)[]> {
  const { snapshot } = scope;
  const table = lookupTableOf(snapshot, lookup);
  const whole = keys.flatMap((key, place): PlacedKey[] => (isKey(key) ? [{ key, place }] : []));
  const ordinals = await placeKeys(scope, { snapshot, table }, whole.map(({ key }) => key));
  const nodes = new Map<NodeId, Map<number, PlacedKey[]>>();
  for (const [i, placed] of whole.entries()) {
    const ordinal = at(ordinals, i);
    const { node } = lookupShard(snapshot, table, ordinal);
    const shards = nodes.get(node) ?? new Map<number, PlacedKey[]>();
    nodes.set(node, shards);
    const own = shards.get(ordinal);
    if (own === undefined) shards.set(ordinal, [placed]);
    else own.push(placed);
  }
  const found: (string | undefined)[] = keys.map(() => undefined);
  await allSettledOrThrow([...nodes].map(async ([node, shards]) => {
    const query = readingKeys([...shards].map(([ordinal, own]) => ({ shard: lookupShard(snapshot, table, ordinal), keys: own })));
    const { rows } = await scope.run(node, query, 'read');
    for (const [place, distribution] of rows) found[Number(place)] = distribution ?? undefined;
  }));
  return found;
}

interface PlacedKey {
  readonly key: LookupKey;
  readonly place: number;
}

function isKey(key: readonly (string | null)[]): key is LookupKey {
  return !key.includes(null);
}

interface ShardKeys {
  readonly shard: LookupShard;
  readonly keys: readonly PlacedKey[];
}

/** Places, with distribution values, of the keys that are there, of several shards of one node. */
function readingKeys(all: readonly ShardKeys[]): { readonly text: string; readonly values: readonly unknown[] } {
  const values: unknown[] = [];
  const texts = all.map(({ shard: { sql, columns, types }, keys }) => {
    const key = columns.slice(0, -1);
    const arrays = key.map((_, i) => `pg_catalog.unnest($${values.length + i + 1}::${at(types, i)}[])`);
    const places = `pg_catalog.unnest($${values.length + key.length + 1}::pg_catalog.int4[])`;
    values.push(...key.map((_, i) => keys.map((one) => at(one.key, i))), keys.map(({ place }) => place));
    const names = key.map((_, i) => `k${i + 1}`);
    const same = key.map((column, i) => `l.${column} = k.${at(names, i)}`).join(' AND ');
    return `SELECT k.place, l.${at(columns, key.length)}::text FROM ${sql} AS l JOIN ROWS FROM (${[...arrays, places].join(', ')}) AS k (${[...names, 'place'].join(', ')}) ON ${same}`;
  });
  return { text: texts.join(' UNION ALL '), values };
}

import { ClusterError } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { shardName } from '../../catalog/shard-name.ts';
import type { StatementScope } from '../statement-scope.ts';
import { byNode } from './by-node.ts';
import { type PlacedShard, placedShards } from './catalog-rows.ts';

/** Bytes, by what is measured. */
export type Sizes = Readonly<Record<string, bigint>>;

interface Measured extends PlacedShard {
  readonly bytes: bigint;
}

/** The size of each shard with its indexes, one statement for each node. `shardMissing` when a shard is not where the catalog says. */
export async function readShardSizes(scope: StatementScope): Promise<Measured[]> {
  const placed = placedShards(scope.snapshot);
  const wanted = placed.map((shard): Wanted => ({ node: shard.node, schema: shard.table.schema, name: shardName(shard.table.name, shard.shardId) }));
  const sizes = await readSizes(scope, wanted, { total: 'pg_catalog.pg_total_relation_size(c.oid)' });
  return placed.map((shard, i) => ({ ...shard, bytes: sizeOf(sizes[i], shard).total ?? 0n }));
}

/**
 * What PostgreSQL's functions about sizes give for distributed and reference tables and their indexes, by OID in the coordinator database: of all shards together. With `forks`, by the names of
 * forks besides. One statement for each node and one for the coordinator database. `shardMissing` as above.
 */
export async function readRelationSizes(scope: StatementScope, { forks }: { readonly forks: boolean }): Promise<Map<number, Sizes>> {
  const placed = placedShards(scope.snapshot);
  const indexes = await readIndexes(scope);
  const shards = placed.map((shard) => ({ shard, oid: shard.table.oid, isIndex: false, name: shardName(shard.table.name, shard.shardId) }));
  const parts = placed.flatMap((shard) => (indexes.get(shard.table.oid) ?? []).map(({ oid, name }) => ({ shard, oid, isIndex: true, name: shardName(name, shard.shardId) })));
  const all = [...shards, ...parts];
  const measures = { ...baseMeasures, ...(forks ? forkMeasures : {}) };
  const sizes = await readSizes(scope, all.map(({ shard, name }) => ({ node: shard.node, schema: shard.table.schema, name })), measures);
  const totals = new Map<number, Sizes>();
  for (const [i, { shard, oid, isIndex }] of all.entries()) {
    // One that is being built is not everywhere yet.
    const own = isIndex ? sizes[i] : sizeOf(sizes[i], shard);
    const { table = 0n, indexes: ofIndexes = 0n } = own ?? {};
    totals.set(oid, added(totals.get(oid) ?? {}, { ...own, total: table + ofIndexes }));
  }
  return totals;
}

const baseMeasures = { main: 'pg_catalog.pg_relation_size(c.oid)', table: 'pg_catalog.pg_table_size(c.oid)', indexes: 'pg_catalog.pg_indexes_size(c.oid)' };
const forkMeasures = { fsm: `pg_catalog.pg_relation_size(c.oid, 'fsm')`, vm: `pg_catalog.pg_relation_size(c.oid, 'vm')`, init: `pg_catalog.pg_relation_size(c.oid, 'init')` };

function sizeOf(sizes: Sizes | undefined, { table }: PlacedShard): Sizes {
  if (sizes !== undefined) return sizes;
  throw new ClusterError('shardMissing', `a shard of "${table.schema}.${table.name}" is not where it was`, { hint: 'Try it again.' });
}

function added(a: Sizes, b: Sizes): Sizes {
  return Object.fromEntries([...new Set([...Object.keys(a), ...Object.keys(b)])].map((measure) => [measure, (a[measure] ?? 0n) + (b[measure] ?? 0n)]));
}

/** Indexes of the shells, by the OIDs of their tables. */
async function readIndexes(scope: StatementScope): Promise<Map<number, { readonly oid: number; readonly name: string }[]>> {
  const text = `SELECT i.indrelid, i.indexrelid, c.relname FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = ANY ($1::oid[])`;
  const { rows } = await scope.run(coordinatorNodeId, { text, values: [[...scope.snapshot.tables.values()].map(({ oid }) => oid)] }, 'read');
  const found = new Map<number, { oid: number; name: string }[]>();
  for (const [table, oid, name] of rows) found.set(Number(table), [...(found.get(Number(table)) ?? []), { oid: Number(oid), name: name ?? '' }]);
  return found;
}

interface Wanted {
  readonly node: NodeId;
  readonly schema: string;
  readonly name: string;
}

/** In the order of `wanted`; undefined for what is not there. */
async function readSizes(scope: StatementScope, wanted: readonly Wanted[], measures: Readonly<Record<string, string>>): Promise<(Sizes | undefined)[]> {
  const found: (Sizes | undefined)[] = wanted.map(() => undefined);
  const names = Object.keys(measures);
  const text = `SELECT w.place, ${Object.values(measures).join(', ')}
    FROM ROWS FROM (pg_catalog.unnest($1::int4[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) AS w(place, schema, name)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema::name JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name::name`;
  const placed = byNode(wanted.map((one, place) => ({ ...one, place })));
  await Promise.all([...placed].map(async ([node, ours]) => {
    const values = [ours.map(({ place }) => place), ours.map(({ schema }) => schema), ours.map(({ name }) => name)];
    const { rows } = await scope.run(node, { text, values }, 'read');
    for (const [place, ...sizes] of rows) {
      // NULL: dropped while it was looked at.
      if (!sizes.includes(null)) found[Number(place)] = Object.fromEntries(names.map((name, i) => [name, BigInt(sizes[i] ?? '0')]));
    }
  }));
  return found;
}

import { at } from '../base/assert.ts';
import { LruMap } from '../base/lru.ts';
import type { CatalogSnapshot, DistributedTable } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import type { RowEstimate, Statistics } from '../plan/staged/statistics.ts';

const keptMs = 60_000;
const capacity = 5_000;
/** Data change, and a plan that was chosen by what is not true any more is never chosen by itself. */
const seenMs = 600_000;
/** For shards that were never analyzed. */
const rowBytesGuess = 100;

interface Kept<T> {
  readonly value: Promise<T>;
  readonly atMs: number;
}

/** Estimates of the servers' own planners, kept for a minute. A server that does not answer counts nothing: the statement itself will say so. */
export class TableStatistics {
  readonly #shardRows = new LruMap<string, Kept<readonly number[]>>(capacity);
  readonly #explained = new LruMap<string, Kept<RowEstimate | undefined>>(capacity, { max: 1_000_000, of: (key) => key.length });
  readonly #seen = new LruMap<string, { readonly bytes: number; readonly atMs: number }>(capacity, { max: 1_000_000, of: (part) => part.length });

  /** `adjust`: for tests, what is to be believed instead. */
  constructor(
    private readonly pools: NodePools,
    private readonly adjust: (estimate: RowEstimate) => RowEstimate = (estimate) => estimate,
  ) {}

  /** Under one snapshot of the catalog. */
  of(snapshot: CatalogSnapshot): Statistics {
    return {
      seen: (part) => {
        const known = this.#seen.get(part);
        return known !== undefined && performance.now() - known.atMs < seenMs ? known.bytes : undefined;
      },
      local: (sql) => this.#adjusted(this.#explain(coordinatorNodeId, sql)),
      table: (table, sqlFor) => this.#adjusted(table.kind === 'reference' ? this.#explain(at(snapshot.nodes, 0).id, sqlFor(0)) : this.#ofShards(snapshot, table, sqlFor)),
    };
  }

  /** A part of a query, by its text, had so many bytes. */
  note(part: string, bytes: number): void {
    this.#seen.set(part, { bytes, atMs: performance.now() });
  }

  async #adjusted(asked: Promise<RowEstimate | undefined>): Promise<RowEstimate | undefined> {
    const estimate = await asked;
    return estimate === undefined ? undefined : this.adjust(estimate);
  }

  /** The largest shard's selectivity for all. */
  async #ofShards(snapshot: CatalogSnapshot, table: DistributedTable, sqlFor: (ordinal: number) => string): Promise<RowEstimate | undefined> {
    const rows = await kept(this.#shardRows, `${table.oid}/${snapshot.version}`, () => this.#readShardRows(snapshot, table));
    const largest = rows.indexOf(Math.max(...rows));
    const group = snapshot.colocationGroups.get(table.colocationId);
    const node = group?.shardGroups[largest]?.node;
    const explained = node === undefined ? undefined : await this.#explain(node, sqlFor(largest));
    const inShard = rows[largest] ?? 0;
    if (explained === undefined || inShard <= 0) return explained;
    const total = rows.reduce((sum, one) => sum + one, 0);
    return { rows: total * Math.min(1, explained.rows / inShard), width: explained.width };
  }

  /** By ordinal. */
  async #readShardRows(snapshot: CatalogSnapshot, table: DistributedTable): Promise<readonly number[]> {
    const names = table.shardIds.map((id) => shardName(table.name, id));
    const text = `SELECT c.relname, sum(greatest(l.reltuples, 0)), sum(pg_catalog.pg_relation_size(l.oid)) FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL (SELECT c.oid WHERE c.relkind <> 'p' UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree(c.oid) WHERE isleaf AND c.relkind = 'p') AS p (oid)
      JOIN pg_catalog.pg_class l ON l.oid = p.oid WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) GROUP BY c.oid, c.relname`;
    const answers = await Promise.allSettled(snapshot.nodes.map(({ id }) => this.pools.get(id).query({ text, values: [table.schema, names] })));
    const found = new Map<string, number>();
    for (const answer of answers) {
      if (answer.status === 'rejected') continue;
      for (const [name, tuples, bytes] of answer.value.rows) found.set(name ?? '', Number(tuples) > 0 ? Number(tuples) : Number(bytes) / rowBytesGuess);
    }
    return names.map((name) => found.get(name) ?? 0);
  }

  #explain(node: NodeId, sql: string): Promise<RowEstimate | undefined> {
    return kept(this.#explained, `${node} ${sql}`, async () => {
      try {
        const { rows } = await this.pools.get(node).query({ text: `EXPLAIN (FORMAT JSON) ${sql}`, simple: true });
        const [explained] = JSON.parse(rows[0]?.[0] ?? '[]') as { Plan?: { 'Plan Rows'?: number; 'Plan Width'?: number } }[];
        return { rows: explained?.Plan?.['Plan Rows'] ?? 0, width: explained?.Plan?.['Plan Width'] ?? 0 };
      } catch {
        return undefined;
      }
    });
  }
}

/** What is remembered under a key, read anew when it is too old. */
function kept<T>(memory: LruMap<string, Kept<T>>, key: string, read: () => Promise<T>): Promise<T> {
  const now = performance.now();
  const known = memory.get(key);
  if (known !== undefined && now - known.atMs < keptMs) return known.value;
  const value = read();
  memory.set(key, { value, atMs: now });
  return value;
}

import type { NodeId } from '../../catalog/ids.ts';
import type { ArrayRows } from '../../plan/insert/array-rows.ts';
import { type ArrayInput, insertHead, insertTail, rowArrays, unnested } from './render-arrays.ts';

/** One statement opens all the tables that it names, so it names no more. */
const shardsMax = 64;

export interface FusedRows extends Pick<ArrayInput, 'valueOf'> {
  /** The rows of each shard that gets some. */
  readonly byOrdinal: ReadonlyMap<number, readonly number[]>;
}

export interface FusedInsert {
  readonly sql: string;
  readonly values: readonly string[];
  readonly slots: readonly number[];
}

interface FusedNode {
  readonly ordinals: readonly number[];
  sql: string | undefined;
}

/**
 * Rows for several shards of a node in one statement: the arrays are read once, and each shard takes its own rows. The text names all shards that the node has of the
 * table, so it is the same for any rows, and is prepared. It returns the number of rows written.
 */
export class FusedInserts {
  readonly #nodes = new Map<NodeId, FusedNode>();

  /** `shards`: the node of each ordinal. */
  constructor(
    private readonly arrays: ArrayRows,
    shards: readonly NodeId[],
    private readonly targetSql: (ordinal: number) => ArrayInput['targetSql'],
  ) {
    for (const node of new Set(shards)) this.#nodes.set(node, { ordinals: shards.flatMap((own, ordinal) => (own === node ? [ordinal] : [])), sql: undefined });
  }

  get nodes(): Iterable<NodeId> {
    return this.#nodes.keys();
  }

  /** Undefined where it does not pay, since few of the node's shards get rows, or the values do not fit into arrays. */
  insertInto(node: NodeId, { byOrdinal, valueOf }: FusedRows): FusedInsert | undefined {
    const known = this.#nodes.get(node);
    if (known === undefined) return undefined;
    const touched = known.ordinals.filter((ordinal) => byOrdinal.has(ordinal));
    if (touched.length < 2 || touched.length * 2 < known.ordinals.length || known.ordinals.length > shardsMax) return undefined;
    const slots: number[] = [];
    const shards: number[] = [];
    for (const ordinal of touched) {
      for (const row of byOrdinal.get(ordinal) ?? []) {
        slots.push(row);
        shards.push(ordinal);
      }
    }
    const columns = rowArrays(this.arrays, { rows: slots, leaves: false, valueOf });
    if (columns === undefined) return undefined;
    known.sql ??= this.#sqlFor(known.ordinals);
    return { sql: known.sql, values: [...columns.values, `{${shards.join(',')}}`], slots };
  }

  /** Names that stand before the caller's own text must not be meant by it; and that may end in a comment. */
  #sqlFor(ordinals: readonly number[]): string {
    const { arrays } = this;
    const names = arrays.columns.map((_, i) => `c${i}`);
    const types = [...arrays.columns.map(({ elementType }) => elementType), 'pg_catalog.int4'];
    const source = `shardwright_rows AS MATERIALIZED (SELECT * FROM ROWS FROM (${unnested(types)}) AS r (${[...names, 'shard'].join(', ')}))`;
    const inserts = ordinals.map((ordinal) => {
      const targetSql = this.targetSql(ordinal);
      const rows = `SELECT ${names.join(', ')} FROM shardwright_rows AS r WHERE r.shard = ${ordinal}`;
      return `shardwright_${ordinal} AS (${insertHead(arrays, arrays.columns, targetSql)} ${rows}${insertTail(arrays, targetSql)}\n RETURNING 1)`;
    });
    const written = ordinals.map((ordinal) => `SELECT 1 FROM shardwright_${ordinal}`).join(' UNION ALL ');
    return `WITH ${[source, ...inserts].join(', ')} SELECT pg_catalog.count(*) FROM (${written}) AS written`;
  }
}

import { assert } from '../base/assert.ts';
import type { ColocationGroup, DistributedTable, ShardGroup } from '../catalog/catalog-snapshot.ts';
import type { DistributionType } from '../catalog/hash/distribution-type.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { rowSql, shown } from './compared-rows.ts';
import { pageRanges } from './page-ranges.ts';
import { comparedRows } from './table-rows.ts';

/** A shard, to be read over a connection that is in a transaction of REPEATABLE READ under `definitionSettings`. */
export interface ReadShard {
  readonly connection: NodeConnection;
  readonly table: DistributedTable;
  /** Name of the distribution column. */
  readonly column: string;
  /** Quoted and qualified. */
  readonly sql: string;
  readonly range: Pick<ShardGroup, 'min' | 'max'>;
}

/** A row that does not belong where it is. */
interface Misplaced {
  readonly key: string;
  /** Null of a NULL. */
  readonly hash: number | null;
}

export interface FindOptions extends CallOptions {
  /** More are not looked for. */
  readonly max: number;
  readonly onRead: (rows: number) => void;
}

/** Rows whose hash is out of the shard's range: of PostgreSQL's hashes the server itself is asked, of others the distinct values are read and hashed here. Reads the shard once, again where it finds some. */
export async function findMisplaced(shard: ReadShard, placing: Pick<ColocationGroup, 'hash'> & { readonly type: DistributionType }, options: FindOptions): Promise<Misplaced[]> {
  return placing.hash === 'postgres' ? askServer(shard, placing.type, options) : hashValues(shard, placing.type, options);
}

async function askServer(shard: ReadShard, type: DistributionType, { max, signal, onRead }: FindOptions): Promise<Misplaced[]> {
  const { connection, table, sql, range } = shard;
  const hash = type.hashSql(columnSql(shard));
  const outside = `(${hash}) IS NULL OR (${hash}) NOT BETWEEN ${range.min} AND ${range.max}`;
  const found: Misplaced[] = [];
  for (const { condition } of await pageRanges(connection, sql, { signal, whole: table.partitioned })) {
    const counted = await connection.query({ text: `SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE ${outside}) FROM ${sql} AS t WHERE ${condition}` }, { signal });
    const [rows, wrong] = (counted.rows[0] ?? []).map(Number);
    onRead(rows ?? 0);
    if (wrong === 0 || found.length >= max) continue;
    const text = `SELECT ${shown(rowSql(comparedRows(table)).key)}, (${hash})::pg_catalog.text FROM ${sql} AS t WHERE ${condition} AND (${outside}) LIMIT ${max - found.length}`;
    const result = await connection.query({ text }, { signal });
    found.push(...result.rows.map(([key, value]) => ({ key: key ?? '', hash: typeof value === 'string' ? Number(value) : null })));
  }
  return found;
}

async function hashValues(shard: ReadShard, type: DistributionType, { max, signal, onRead }: FindOptions): Promise<Misplaced[]> {
  const { connection, table, sql, range } = shard;
  const value = `(${columnSql(shard)})::pg_catalog.text`;
  const wrong = new Map<string | null, number | null>();
  for await (const batch of connection.stream({ text: `SELECT ${value}, pg_catalog.count(*) FROM ${sql} AS t GROUP BY 1` }, { signal })) {
    let rows = 0;
    for (const [text = null, count] of batch) {
      const hash = text === null ? null : hashOf(type, text);
      if ((hash === null || hash < range.min || hash > range.max) && wrong.size < max) wrong.set(text, hash);
      rows += Number(count);
    }
    onRead(rows);
  }
  if (wrong.size === 0) return [];
  const text = `SELECT ${value}, ${shown(rowSql(comparedRows(table)).key)} FROM ${sql} AS t WHERE ${value} = ANY ($1::pg_catalog.text[]) OR (${value} IS NULL AND $2) LIMIT ${max}`;
  const { rows } = await connection.query({ text, values: [[...wrong.keys()].filter((key) => key !== null), wrong.has(null)] }, { signal });
  return rows.map(([of = null, key]) => ({ key: key ?? '', hash: wrong.get(of) ?? null }));
}

function hashOf(type: DistributionType, text: string): number {
  const hash = type.hashOf(text, 'murmur3');
  assert(hash !== undefined, `a server's own text of type ${type.name} cannot be read: ${text}`);
  return hash;
}

function columnSql({ column }: ReadShard): string {
  return `t.${quoteIdentifier(column)}`;
}

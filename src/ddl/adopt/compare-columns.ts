import type { NodeId, ShardId } from '../../catalog/ids.ts';
import type { CatalogChange } from '../change-catalog.ts';
import { ShardNames } from '../shard-names.ts';
import type { TableDefinition } from '../table-definition.ts';

/** A shard on a node. */
export interface PlacedCopy {
  readonly node: NodeId;
  readonly shard: ShardId;
}

/** Which shards are not there, or have other columns than the table, in words. One statement for each node. */
export async function compareColumns(change: CatalogChange, table: TableDefinition, copies: readonly PlacedCopy[]): Promise<string[]> {
  const wanted = table.columns.map(({ name, type }) => `${name} ${type}`).join(', ');
  const text = `SELECT s.sql, string_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_catalog.unnest($1::text[]) AS s(sql)
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = pg_catalog.to_regclass(s.sql) AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1`;
  const problems: string[] = [];
  for (const { id, host, port } of change.nodes) {
    const shards = copies.filter(({ node }) => node === id).map(({ shard }) => new ShardNames(table, shard).sql);
    if (shards.length === 0) continue;
    const connection = await change.transaction.join(id, 'write', { signal: change.signal });
    await connection.query({ text: 'SET LOCAL search_path = pg_catalog' }, { signal: change.signal });
    const { rows } = await connection.query({ text, values: [shards] }, { signal: change.signal });
    for (const [shard, columns] of rows) {
      if (columns === null) problems.push(`Node ${host}:${port} has no table ${shard ?? ''}.`);
      else if (columns !== wanted) problems.push(`Table ${shard ?? ''} on ${host}:${port} has columns ${columns ?? ''}, where "${table.name}" has ${wanted}.`);
    }
  }
  return problems;
}

import { Client } from 'pg';
import { tableText } from '../terminal/table.ts';
import { wholeNumber } from '../terminal/heading.ts';

/** A shard: which table's, and on which node. */
export interface ShardPlace {
  readonly table: string;
  readonly node: string;
  /** The table's name on that node. */
  readonly name: string;
}

export interface NodePlace {
  /** `host:port/database`. */
  readonly name: string;
  readonly connectionString: string;
}

/** How many shards and rows of each table are on each node. The rows are counted on the nodes themselves. */
export async function shardTable(nodes: readonly NodePlace[], shards: readonly ShardPlace[]): Promise<string> {
  const tables = [...new Set(shards.map((shard) => shard.table))];
  const columns: string[][] = [];
  for (const node of nodes) {
    const here = shards.filter((shard) => shard.node === node.name);
    const counts = await countRows(node, here);
    columns.push(tables.map((table) => cellText(here.filter((shard) => shard.table === table), counts)));
  }
  const rows = tables.map((table, row) => [table, ...columns.map((column) => column[row] ?? '')]);
  return tableText({ columns: ['table', ...nodes.map(({ name }) => name.replace('/', '\n/'))], rows });
}

/** `8 · 71 234`: shards and rows. */
function cellText(shards: readonly ShardPlace[], counts: ReadonlyMap<string, number>): string {
  const rows = shards.reduce((sum, shard) => sum + (counts.get(shard.name) ?? 0), 0);
  return `${shards.length} · ${wholeNumber(rows)}`;
}

async function countRows(node: NodePlace, shards: readonly ShardPlace[]): Promise<Map<string, number>> {
  const client = new Client({ connectionString: node.connectionString });
  await client.connect();
  try {
    const counts = new Map<string, number>();
    for (const { name } of shards) {
      const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM ${name}`);
      counts.set(name, Number(rows[0]?.count));
    }
    return counts;
  } finally {
    await client.end();
  }
}

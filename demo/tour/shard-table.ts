import { Client } from 'pg';
import { tableText } from '../terminal/table.ts';
import { wholeNumber } from '../terminal/heading.ts';

/** A shard: which table's, on which node, and the table that it is there. */
export interface ShardPlace {
  readonly table: string;
  readonly node: string;
  readonly shardName: string;
}

export interface NodePlace {
  readonly name: string;
  readonly connectionString: string;
}

/** A table of how many shards and rows of each table a node has. The rows are counted on the nodes themselves. */
export async function shardTable(nodes: readonly NodePlace[], shards: readonly ShardPlace[]): Promise<string> {
  const tables = [...new Set(shards.map((shard) => shard.table))];
  const rows: string[][] = [];
  for (const node of nodes) {
    const counts = await countRows(node, shards.filter((shard) => shard.node === node.name));
    rows.push([node.name, ...tables.map((table) => cellText(shards.filter((shard) => shard.node === node.name && shard.table === table), counts))]);
  }
  return tableText({ columns: ['node', ...tables], rows });
}

/** `8 · 71 234`: shards and rows. */
function cellText(shards: readonly ShardPlace[], counts: ReadonlyMap<string, number>): string {
  const rows = shards.reduce((sum, shard) => sum + (counts.get(shard.shardName) ?? 0), 0);
  return `${shards.length} · ${wholeNumber(rows)}`;
}

async function countRows(node: NodePlace, shards: readonly ShardPlace[]): Promise<Map<string, number>> {
  const client = new Client({ connectionString: node.connectionString });
  await client.connect();
  try {
    const counts = new Map<string, number>();
    for (const { shardName } of shards) {
      const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM ${shardName}`);
      counts.set(shardName, Number(rows[0]?.count));
    }
    return counts;
  } finally {
    await client.end();
  }
}

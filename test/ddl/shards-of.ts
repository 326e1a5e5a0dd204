import { present } from '../../src/base/assert.ts';
import { shardName } from '../../src/catalog/shard-name.ts';
import { quoteQualified } from '../../src/sql/identifiers.ts';
import type { TestCluster } from './test-cluster.ts';

export interface TestShard {
  readonly id: number;
  readonly node: number;
  readonly min: number;
  readonly max: number;
  readonly name: string;
  readonly sql: string;
}

/** The shards of a distributed table, in order of their hashes. */
export async function shardsOf(cluster: TestCluster, name: string, schema = 'public'): Promise<TestShard[]> {
  const table = await cluster.table(name, schema);
  if (table.kind !== 'distributed') throw new Error(`it is a ${table.kind} table`);
  const group = present((await cluster.snapshot()).colocationGroups.get(table.colocationId));
  return table.shardIds.map((id, i) => {
    const { node, min, max } = present(group.shardGroups[i]);
    const relation = shardName(name, id);
    return { id, node, min, max, name: relation, sql: quoteQualified(schema, relation) };
  });
}

/** The rows of all shards as text, sorted. */
export async function rowsOf(cluster: TestCluster, name: string, schema = 'public'): Promise<string[]> {
  const rows: string[] = [];
  for (const { node, sql } of await shardsOf(cluster, name, schema)) {
    rows.push(...(await cluster.onNodeId(node, `SELECT t::text FROM ${sql} t`)).map(String));
  }
  return rows.sort();
}

import { expect, test } from 'vitest';
import type { CatalogTable, DistributedTable } from '../../src/catalog/catalog-snapshot.ts';
import { createDistributedTable } from '../../src/ddl/create-distributed-table.ts';
import { createReferenceTable } from '../../src/ddl/create-reference-table.ts';
import { describeTable, withoutShardId } from './describe-table.ts';
import { referencedRows, richName, richRows, richSchema, richTableOn } from './rich-table.ts';
import { shardsOf } from './shards-of.ts';
import { openTestCluster, type TestCluster } from './test-cluster.ts';

async function richCluster(major: 15 | 18): Promise<TestCluster> {
  const cluster = await openTestCluster({ major });
  for (const node of [0, 1, 2]) await cluster.onNode(node, richSchema);
  await cluster.sql(richSchema + richTableOn(major));
  return cluster;
}

async function distributeReferenced(cluster: TestCluster): Promise<void> {
  await cluster.sql(referencedRows);
  await createReferenceTable(cluster.context, 'country');
  await createDistributedTable(cluster.context, 'company', 'id');
}

async function distributeRich(cluster: TestCluster): Promise<DistributedTable> {
  await createDistributedTable(cluster.context, richName.sql, 'Tenant Id', { colocateWith: 'company' });
  const table = await cluster.table(richName.name, richName.schema);
  if (table.kind !== 'distributed') throw new Error(`it is a ${table.kind} table`);
  return table;
}

/** `other_102040` as `other`. */
function withLogicalName(line: string, other: CatalogTable): string {
  const ids = other.kind === 'reference' ? [other.shardId] : other.shardIds;
  return ids.reduce((text, id) => text.replaceAll(`${other.name}_${id}`, other.name), line);
}

const exactRows = `SELECT t::text FROM (SELECT * FROM $table) t`;

test.each([15, 18] as const)('shards have all that the table has, and its rows to the letter, on version %i', async (major) => {
  await using cluster = await richCluster(major);
  await distributeReferenced(cluster);
  await cluster.sql(richRows);
  const rowsBefore = await cluster.sql(exactRows.replace('$table', richName.sql));
  const before = await describeTable((text) => cluster.sql(text), richName.schema, richName.name);
  expect(before.length).toBeGreaterThan(35);

  const table = await distributeRich(cluster);

  const rowsAfter: unknown[] = [];
  const others = [await cluster.table('country'), await cluster.table('company')];
  for (const shard of await shardsOf(cluster, table.name, table.schema)) {
    const ask = (text: string): Promise<readonly (readonly unknown[])[]> => cluster.onNodeId(shard.node, text);
    const described = await describeTable(ask, table.schema, shard.name);
    const referring = described.map((line) => others.reduce((text, other) => withLogicalName(text, other), line));
    expect(withoutShardId(referring, shard.id)).toEqual(before);
    rowsAfter.push(...(await ask(exactRows.replace('$table', shard.sql))));
  }
  expect(rowsAfter.map(String).sort()).toEqual(rowsBefore.map(String).sort());
  expect(await cluster.sql(`SELECT count(*)::int FROM ${richName.sql}`)).toEqual([[0]]);
});

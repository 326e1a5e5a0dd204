import { Client, type PoolClient } from 'pg';
import { expect } from 'vitest';
import type { Cluster } from '../../../src/index.ts';
import type { TestDatabase } from '../../support/test-databases.ts';
import { described } from './described.ts';

/** What one statement gave: its tag, or SQLSTATE and message. */
export async function outcome(client: Pick<PoolClient, 'query'>, text: string): Promise<unknown> {
  try {
    const results = [await client.query({ text, rowMode: 'array' })].flat();
    return results.map(({ command, rows }) => ({ command, rows }));
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { code, message };
  }
}

export interface Described {
  readonly cluster: Cluster;
  readonly coordinator: TestDatabase;
  readonly nodes: readonly TestDatabase[];
  readonly plain: TestDatabase;
}

/** Shell and shards of each table are defined as the one table of a plain PostgreSQL is, and nodes have no other tables. Returns how many shards were compared. */
export async function compareDefinitions({ cluster, coordinator, nodes, plain }: Described): Promise<number> {
  await using onPlain = await asking(plain);
  await using onCoordinator = await asking(coordinator);
  const expected = new Map<string, string[]>();
  for (const { schema, name } of await cluster.tables()) {
    const lines = await described(onPlain.ask, schema, name);
    expected.set(`${schema}.${name}`, lines);
    expect({ shell: name, lines: await described(onCoordinator.ask, schema, name) }).toEqual({ shell: name, lines });
  }
  const shards = await cluster.shards();
  for (const [i, node] of nodes.entries()) {
    await using onNode = await asking(node);
    const here = shards.filter(({ nodeId }) => nodeId === i + 1);
    for (const { schema, table, name } of here) {
      expect({ shard: name, lines: await described(onNode.ask, schema, name) }).toEqual({ shard: name, lines: expected.get(`${schema}.${table}`) });
    }
    const there = await onNode.ask(`SELECT nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema', 'shardwright') ORDER BY 1`);
    expect(there.flat()).toEqual(here.map(({ schema, name }) => `${schema}.${name}`).sort());
  }
  return shards.length;
}

export async function asking({ connectionString }: TestDatabase) {
  const client = new Client({ connectionString });
  await client.connect();
  return {
    ask: async (text: string) => (await client.query<unknown[]>({ text, rowMode: 'array' })).rows,
    [Symbol.asyncDispose]: () => client.end(),
  };
}

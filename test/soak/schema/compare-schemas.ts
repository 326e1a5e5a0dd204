import { Client } from 'pg';
import type { Cluster } from '../../../src/index.ts';
import { described } from '../../ddl/propagate/described.ts';
import { describeObjects } from '../../ddl/propagate/describe-objects.ts';
import { type AppTable, appTables, renamed } from './schema-tables.ts';

interface Compared {
  readonly cluster: Cluster;
  readonly coordinator: string;
  readonly nodes: readonly string[];
  readonly plain: Client;
}

/** Tables, views, types and rows that are not what they are on one PostgreSQL; shards that are not what their tables are; what is left. */
export async function compareSchemas({ cluster, coordinator, nodes, plain }: Compared): Promise<string[]> {
  const [schema, rows] = [await cluster.checkSchema(), await cluster.verify()];
  const differences = [...schema.differences, ...rows.differences].map((difference) => JSON.stringify(difference));
  const client = await new Client(coordinator).connect();
  const ask = (side: Client) => async (text: string) => (await side.query<unknown[]>({ text, rowMode: 'array' })).rows;
  try {
    const { rows: tables } = await plain.query<{ schema: string; name: string }>(`SELECT nspname AS schema, relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE relkind IN ('r', 'p', 'v') AND nspname IN ('public', 'other', 'tenant_s') ORDER BY 1, 2`);
    for (const { schema: of, name } of tables) {
      const expected = await described(ask(plain), of, name);
      const found = await described(ask(client), of, name).catch((error: unknown) => [String(error)]);
      differences.push(...unlike(`${of}.${name}`, found, expected));
    }
    differences.push(...unlike('objects', await describeObjects(ask(client)), await describeObjects(ask(plain))));
    await Promise.all([client, plain].map((side) => side.query('RESET search_path')));
    for (const table of appTables) differences.push(...(await unlikeRows({ cluster, plain }, table)));
    for (const [i, node] of [coordinator, ...nodes].entries()) differences.push(...(await remains(node)).map((line) => `left on ${i === 0 ? 'the coordinator database' : `node ${i}`}: ${line}`));
    return differences;
  } finally {
    await client.end();
  }
}

/** Of no lane. What sequences gave is left open. */
async function unlikeRows({ cluster, plain }: Pick<Compared, 'cluster' | 'plain'>, table: AppTable): Promise<string[]> {
  const read = (side: Cluster | Client, name: string): Promise<{ readonly rows: Record<string, unknown>[] }> => side.query<Record<string, unknown>>(`SELECT * FROM ${name} WHERE lane = 0 ORDER BY tenant, id`);
  const withoutNumbers = (rows: readonly Record<string, unknown>[]): string[] => rows.map((row) => JSON.stringify(Object.entries(row).filter(([name]) => !/^n\d/.test(name))));
  const [found, expected] = await Promise.all([cluster, plain].map(async (side) => withoutNumbers((await read(side, table).catch(() => read(side, renamed(table)))).rows)));
  return unlike(`rows of ${table}`, found ?? [], expected ?? []);
}

function unlike(what: string, found: readonly string[], expected: readonly string[]): string[] {
  return [
    ...expected.filter((line) => !found.includes(line)).map((line) => `${what} lacks ${line}`),
    ...found.filter((line) => !expected.includes(line)).map((line) => `${what} has ${line}`),
  ];
}

async function remains(node: string): Promise<string[]> {
  const client = await new Client(node).connect();
  const { rows } = await client.query<{ line: string }>(`SELECT 'prepared ' || gid AS line FROM pg_prepared_xacts UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots
    UNION ALL SELECT 'invalid index ' || indexrelid::regclass FROM pg_index WHERE NOT indisvalid
    UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'shardwright\\_%'`);
  await client.end();
  return rows.map(({ line }) => line);
}

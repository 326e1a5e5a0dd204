import { Client, type PoolClient } from 'pg';
import { expect } from 'vitest';
import type { Cluster } from '../../../src/index.ts';
import type { TestDatabase } from '../../support/test-databases.ts';
import { type Ask, describeTable } from '../describe-table.ts';

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

/** A table's definition without the names of shards; the check of their hashes is left out. */
function logical(lines: readonly string[]): string[] {
  return lines.filter((line) => !line.includes('shardwright_hash')).map((line) => line.replaceAll(/_1\d{5}\b/g, '')).sort();
}

export interface Described {
  readonly cluster: Cluster;
  readonly coordinator: TestDatabase;
  readonly nodes: readonly TestDatabase[];
  readonly plain: TestDatabase;
}

/** What `describeTable` says, and who may do what with it. */
async function described(ask: Ask, schema: string, name: string): Promise<string[]> {
  const access = await ask(`
    SELECT concat_ws(' ', 'grant', g, privilege_type, is_grantable) FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) x,
      LATERAL (SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END AS g) AS named
      WHERE oid = '"${schema}"."${name}"'::regclass
    UNION ALL SELECT concat_ws(' ', 'grant of column', attname, grantee::regrole, privilege_type, is_grantable) FROM pg_attribute, aclexplode(attacl) WHERE attrelid = '"${schema}"."${name}"'::regclass
    UNION ALL SELECT concat_ws(' ', 'owner', relowner::regrole) FROM pg_class WHERE oid = '"${schema}"."${name}"'::regclass`);
  const behaviour = await ask(`
    SELECT concat_ws(' ', 'policy', polname, polpermissive, polcmd, polroles::regrole[]::text, pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid), obj_description(oid, 'pg_policy'))
      FROM pg_policy WHERE polrelid = '"${schema}"."${name}"'::regclass
    UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger')) FROM pg_trigger
      WHERE tgrelid = '"${schema}"."${name}"'::regclass AND NOT tgisinternal AND tgname NOT LIKE 'shardwright%'
    UNION ALL SELECT concat_ws(' ', 'statistics', pg_get_statisticsobjdef(oid), coalesce(nullif(stxstattarget, -1)::text, '-'), obj_description(oid, 'pg_statistic_ext')) FROM pg_statistic_ext
      WHERE stxrelid = '"${schema}"."${name}"'::regclass
    UNION ALL SELECT concat_ws(' ', 'row security', relrowsecurity, relforcerowsecurity) FROM pg_class WHERE oid = '"${schema}"."${name}"'::regclass`);
  const further = [...access, ...behaviour].map(([line]) => String(line));
  return logical([...(await describeTable(ask, schema, name)), ...further]);
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

import { afterAll, beforeAll, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import { type StagedCluster, startStaged } from '../execute/staged/start-staged.ts';

let pair: StagedCluster;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startStaged();
  ({ cluster } = pair);
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

type Tree = Awaited<ReturnType<Cluster['explain']>>['plan'];

function nodesOf(tree: Tree, kind: string): Tree[] {
  return [...(tree.kind === kind ? [tree] : []), ...tree.inputs.flatMap((input) => nodesOf(input, kind))];
}

async function count(sql: string): Promise<number> {
  return (await pair.plain.query(sql)).rows.length;
}

const staged = 'SELECT o.id FROM orders o WHERE o.id IN (SELECT id FROM orders ORDER BY id, tenant_id LIMIT 50)';

test.each([
  ['SELECT * FROM orders WHERE tenant_id = $1', [3]],
  ['SELECT count(*) FROM orders', []],
  [staged, []],
  ['INSERT INTO orders (tenant_id, id) VALUES ($1, 70000)', [3]],
  ['UPDATE orders SET note = NULL', []],
])('EXPLAIN %s is what explain() says', async (sql, values) => {
  const { rows, fields, command, rowCount } = await cluster.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql}`, values);
  expect({ command, rowCount, fields: fields.map(({ name, dataTypeID }) => [name, dataTypeID]) }).toEqual({ command: 'EXPLAIN', rowCount: null, fields: [['QUERY PLAN', 25]] });
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toBe((await cluster.explain(sql, values)).text);
  const json = await cluster.query<{ 'QUERY PLAN': object[] }>(`EXPLAIN (COSTS OFF, FORMAT json) ${sql}`, values);
  expect(json.fields[0]?.dataTypeID).toBe(114);
  expect(json.rows).toEqual([{ 'QUERY PLAN': [{ Plan: expect.objectContaining({ 'Node Type': expect.any(String) }) }] }]);
  // Nothing was written.
  expect((await cluster.query('SELECT FROM orders WHERE id = 70000 OR note IS NULL')).rowCount).toBe(0);
});

test('in every form that PostgreSQL has for it', async () => {
  const first = async (sql: string): Promise<string> => present((await cluster.query<{ 'QUERY PLAN': string }>(sql)).rows[0])['QUERY PLAN'];
  const query = 'SELECT * FROM orders WHERE tenant_id = 3';
  for (const options of ['', 'VERBOSE', 'ANALYZE', 'analyze verbose', '(ANALYZE, VERBOSE FALSE)', '(FORMAT TEXT)', '/* EXPLAIN ( */ (analyze off, timing on)']) {
    expect(await first(`EXPLAIN ${options} ${query}`)).toBe('Router');
    expect(await first(`explain ${options} (${query})`)).toBe('Router');
  }
  expect(await first('EXPLAIN SELECT * FROM notes')).toMatch(/^Seq Scan on notes/);
  expect(await first('EXPLAIN (ANALYZE) INSERT INTO notes VALUES (9)')).toMatch(/^Insert on notes/);
  await expect(cluster.query(`EXPLAIN (FORMAT yaml) ${query}`)).rejects.toMatchObject({ id: 'unsupportedQuery' });
  await expect(cluster.query(`EXPLAIN (NONSENSE) ${query}`)).rejects.toMatchObject({ code: '0A000' });
  await expect(cluster.query('EXPLAIN ANALYZE DELETE FROM orders')).rejects.toMatchObject({ id: 'unsupportedQuery' });
  await expect(cluster.query('EXPLAIN SELECT nothing FROM orders')).rejects.toMatchObject({ code: '42703' });
  await expect(cluster.query(`EXPLAIN ${query.replace('3', '$1')}`)).rejects.toMatchObject({ code: expect.stringMatching(/^(08P01|42P02)$/) });
});

test('analyze counts what each result and each task gave', async () => {
  const { plan, text } = await cluster.explain(staged, [], { analyze: true });
  expect(plan.properties['actual rows']).toBe(await count(staged));
  const [result] = nodesOf(plan, 'intermediate_result');
  expect(result?.properties).toMatchObject({ 'actual rows': 50, 'actual bytes': expect.any(Number), 'actual ms': expect.any(Number) });
  const last = nodesOf(plan, 'shard_queries')[0]?.inputs.filter(({ kind }) => kind === 'task') ?? [];
  expect(last.reduce((sum, task) => sum + Number(task.properties['actual rows']), 0)).toBe(await count(staged));
  expect(new Set(last.map(({ properties }) => properties['node'])).size).toBe(3);
  expect(text).toContain('Actual rows: 50');
  expect(text).not.toContain('Output:');
  expect(await pair.remains()).toEqual([]);
});

test.each([
  'SELECT * FROM orders WHERE tenant_id = 3',
  'SELECT * FROM countries',
  'SELECT * FROM orders ORDER BY id, tenant_id LIMIT 7',
  'SELECT note, count(*) FROM orders GROUP BY note',
  'SELECT rank() OVER (ORDER BY id), id FROM orders',
  'SELECT o.id, n.body FROM orders o JOIN notes n ON n.id = o.id',
  'SELECT a.id, b.tenant_id FROM orders a JOIN orders b ON b.tenant_id = a.id AND b.id > 100',
])('analyze, in and out of a transaction: %s', async (sql) => {
  const rows = await count(sql);
  expect((await cluster.explain(sql, [], { analyze: true })).plan.properties['actual rows']).toBe(rows);
  const client = await cluster.connect();
  await client.query('BEGIN');
  const explained = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN ANALYZE ${sql}`);
  expect(explained.rows.map((row) => row['QUERY PLAN']).join('\n')).toContain(`Actual rows: ${rows}`);
  await client.query('COMMIT');
  client.release();
});

test('verbose adds one node\'s own plan to each statement', async () => {
  for (const sql of ['SELECT * FROM orders WHERE tenant_id = 3', 'SELECT count(*) FROM orders', staged]) {
    for (const analyze of [false, true]) {
      const { plan, text } = await cluster.explain(sql, [], { verbose: true, analyze });
      expect(text).toMatch(/Plan:\n.*cost=[^]*Output: /);
      const plans = nodesOf(plan, 'task').filter(({ properties }) => 'plan' in properties);
      expect(plans.length).toBe(analyze && sql === staged ? 2 : 1);
    }
  }
  const join = await cluster.explain('SELECT count(*) FROM orders a JOIN items b ON a.total = b.line', [], { verbose: true });
  expect(nodesOf(join.plan, 'intermediate_result')[0]?.properties['estimated rows']).toBeGreaterThan(0);
});

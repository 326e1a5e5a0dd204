import { expect, test } from 'vitest';
import { openCell } from '../oracle/cell.ts';
import { FakeCluster } from '../oracle/fake-cluster.ts';
import type { Rows } from '../oracle/outcome.ts';
import { runRaw } from '../oracle/outcome.ts';
import { Random } from '../oracle/random.ts';
import { makeSelect } from './generate-select.ts';
import { makeWrites } from './generate-writes.ts';
import { fuzzTables } from './fuzz-tables.ts';
import { hunt, plainHunting } from './hunt.ts';
import { makePartitionable, makeWide } from './wide/make-wide.ts';
import { renderSelect } from './query-tree.ts';
import { selectCase } from './select-case.ts';
import { shrink, smallerSelects } from './shrink.ts';

const plainCell = { major: 18, nodes: 0, shardCount: 1, share: { every: 1, offset: 0 } } as const;
const makeFake = (options: { connectionString: string }): FakeCluster => new FakeCluster({ connectionString: options.connectionString });

test('equal seeds make equal queries, other seeds other queries', () => {
  expect(firstTexts()).toEqual(firstTexts());
  expect(new Set(firstTexts()).size).toBeGreaterThan(195);
});

test('PostgreSQL accepts nine of ten queries, and they use every clause', async () => {
  await using open = await openCell(plainCell, makeFake);
  const failures: string[] = [];
  const queries = Array.from({ length: 600 }, (_, seed) => selectCase(makeSelect(new Random(seed))));
  for (const { sql, values } of queries) {
    const outcome = await runRaw(open.pair.plain, open.pair.plainNames, sql, values);
    if (outcome.kind === 'failed') failures.push(`${outcome.failure.message}: ${sql}`);
  }
  expect(failures.length, failures.slice(0, 10).join('\n')).toBeLessThanOrEqual(queries.length / 10);
  for (const clause of ['WITH ', 'DISTINCT', ' JOIN ', 'LEFT JOIN', 'FULL JOIN', 'GROUP BY', 'HAVING', 'ORDER BY', 'LIMIT', 'OFFSET', 'UNION', 'EXISTS', ' IN (SELECT', 'OVER (', 'FILTER', '$1', 'FROM (SELECT']) {
    expect(queries.some(({ sql }) => sql.includes(clause)), clause).toBe(true);
  }
});

test('PostgreSQL accepts most wide queries, and they use every construct', async () => {
  await using open = await openCell(plainCell, makeFake);
  const failures: string[] = [];
  const queries = Array.from({ length: 500 }, (_, seed) => selectCase(makeWide(new Random(seed), fuzzTables)));
  for (const { sql, values } of queries) {
    const outcome = await runRaw(open.pair.plain, open.pair.plainNames, sql, values);
    if (outcome.kind === 'failed') failures.push(`${outcome.failure.message}: ${sql}`);
  }
  expect(failures.length, failures.slice(0, 10).join('\n')).toBeLessThanOrEqual(queries.length / 20);
  for (const construct of [
    'WITH RECURSIVE', ' MATERIALIZED (', 'DISTINCT ON', 'LATERAL (', 'NATURAL ', ' USING (', 'RIGHT JOIN', 'FULL JOIN', 'CROSS JOIN', 'GROUPING SETS', 'CUBE', 'ROLLUP', 'WITHIN GROUP', 'OVER (', 'FILTER',
    'INTERSECT', 'EXCEPT', 'UNION ALL', 'NOT EXISTS', ' NOT IN (', '= ANY (', '> ALL (', 'ARRAY(', '(VALUES ', 'generate_series', 'unnest(', '"T ü', '$2', 'TABLESAMPLE', 'random()', 'XMLTABLE', 'JSON_TABLE', '::jsonb', '::int4range',
  ]) expect(queries.some(({ sql }) => sql.includes(construct)), construct).toBe(true);
});

test('parts by a condition are together the whole', async () => {
  await using open = await openCell(plainCell, makeFake);
  const hunting = { ...plainHunting(open.pair), reads: 1, makeRead: (random: Random) => ({ select: makePartitionable(random, fuzzTables), inParts: true }) };
  for (let seed = 1; seed <= 100; seed += 1) expect((await hunt(open.pair, seed, hunting)).find).toBeUndefined();
});

test('no difference between two plain databases whose rows lie in different orders', async () => {
  await using open = await openCell(plainCell, makeFake);
  for (let seed = 1; seed <= 250; seed += 1) {
    const trial = await hunt(open.pair, seed);
    expect(trial.find).toBeUndefined();
  }
});

test('a planted wrong answer is found and shrunk', async () => {
  await using open = await openCell(plainCell, makeFake);
  const { pair } = open;
  const wrong = async (sql: string, values?: readonly unknown[]): Promise<Rows | undefined> => {
    const outcome = await runRaw(pair.cluster, pair.clusterNames, sql.replaceAll('LEFT JOIN', 'JOIN'), values);
    return outcome.kind === 'answered' ? outcome.results[0] : undefined;
  };
  const differs = async (sql: string, values?: readonly unknown[]): Promise<boolean> => {
    const right = await runRaw(pair.plain, pair.plainNames, sql, values);
    const left = await wrong(sql, values);
    return right.kind === 'answered' && left !== undefined && left.rows.length !== right.results[0]?.rows.length;
  };
  const stillFails = (query: ReturnType<typeof makeSelect>): Promise<boolean> => {
    const { sql, values } = renderSelect(query);
    return differs(sql, values);
  };
  const start = await firstOf(stillFails);
  const { sql } = renderSelect(await shrink(start, smallerSelects, stillFails));
  expect(sql).toContain('LEFT JOIN');
  expect(sql.length, sql).toBeLessThan(200);
  expect(sql).not.toMatch(/HAVING|ORDER BY|UNION|LIMIT/u);
});

async function firstOf(accept: (query: ReturnType<typeof makeSelect>) => Promise<boolean>): Promise<ReturnType<typeof makeSelect>> {
  for (let seed = 1; seed <= 500; seed += 1) {
    const query = makeSelect(new Random(seed));
    if (renderSelect(query).sql.length > 250 && (await accept(query))) return query;
  }
  throw new Error('no query with a telling LEFT JOIN among 500');
}

function firstTexts(): string[] {
  return Array.from({ length: 200 }, (_, seed) => JSON.stringify([renderSelect(makeSelect(new Random(seed))), makeWrites(new Random(seed))]));
}

import { Client, Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAnswer } from '../../../bench/data/tpch/compare-answers.ts';
import { tpchQueries } from '../../../bench/data/tpch/tpch-queries.ts';
import { tpchRows } from '../../../bench/data/tpch/tpch-rows.ts';
import { tpchTables } from '../../../bench/data/tpch/tpch-tables.ts';
import { loadPlain } from '../../../bench/harness/load-tables.ts';
import { createTestDatabases, type TestDatabases } from '../../support/test-databases.ts';

const scale = 0.01;
const queries = tpchQueries(scale);

let databases: TestDatabases | undefined;
const answers = new Map<string, readonly (readonly (string | null)[])[]>();

/** Runs all queries once, on one PostgreSQL. */
beforeAll(async () => {
  databases = await createTestDatabases({ nodes: 0 });
  const { connectionString } = databases.coordinator;
  const rows = tpchRows(scale);
  await loadPlain(connectionString, tpchTables('by-key').map((table) => ({ table, rowsOf: () => rows.rowsOf(table.name) })));
  const client = new Client({ connectionString });
  await client.connect();
  await client.query('ANALYZE');
  await client.end();
  const pool = new Pool({ connectionString, max: 1 });
  for (const query of queries) answers.set(query.name, (await readAnswer(pool, query)).rows);
  await pool.end();
});

afterAll(() => databases?.drop());

/** The answer as lines. */
const lines = (name: string): string[] => (answers.get(name) ?? []).map((row) => row.map(String).join('|').replaceAll(/ +(?=\||$)/g, ''));
const column = (name: string, index: number): string[] => (answers.get(name) ?? []).map((row) => String(row[index]).trimEnd());
const figures = (name: string, index: number): number[] => column(name, index).map(Number);
const total = (numbers: readonly number[]): number => numbers.reduce((left, right) => left + right, 0);

/** Within so many per cent of what the specification's validation answers at scale 1 give in proportion. */
function expectInProportion(actual: number, published: number, percent: number): void {
  expect(actual / (published * scale)).toBeGreaterThan(1 - percent / 100);
  expect(actual / (published * scale)).toBeLessThan(1 + percent / 100);
}

describe('the queries of TPC-H on one PostgreSQL', () => {
  it('are 22, with query 11\'s fraction at the scale of the data', () => {
    expect(queries.map(({ name }) => name)).toEqual(Array.from({ length: 22 }, (_, index) => `q${String(index + 1).padStart(2, '0')}`));
    expect(queries[10]?.sql).toContain('* 0.01\n');
    expect(tpchQueries(0.1)[10]?.sql).toContain('* 0.001\n');
    expect(tpchQueries(3)[10]?.sql).toContain('* 0.000033333333\n');
    expect(queries.filter(({ sql }) => sql.includes(':'))).toEqual([]);
  });

  it('return as many rows as their groups or limits allow', () => {
    const counts = Object.fromEntries(queries.map(({ name }) => [name, answers.get(name)?.length ?? 0]));
    expect(counts).toMatchObject({ q01: 4, q03: 10, q04: 5, q05: 5, q06: 1, q07: 4, q08: 2, q10: 20, q12: 2, q14: 1, q15: 1, q17: 1, q19: 1, q22: 7 });
    expect(queries.filter(({ name }) => counts[name] === 0).map(({ name }) => name)).toEqual([]);
    expect(counts['q09']).toBeGreaterThan(165);
    expect(counts['q09']).toBeLessThanOrEqual(175);
    expect(queries.filter(({ name }) => lines(name).includes('null')).map(({ name }) => name)).toEqual([]);
  });

  it('have the groups that the specification\'s answers have', () => {
    expect(lines('q01').map((line) => line.slice(0, 3))).toEqual(['A|F', 'N|F', 'N|O', 'R|F']);
    expect(column('q04', 0)).toEqual(['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW']);
    expect(column('q05', 0).sort()).toEqual(['CHINA', 'INDIA', 'INDONESIA', 'JAPAN', 'VIETNAM']);
    expect(lines('q07').map((line) => line.split('|').slice(0, 3).join('|'))).toEqual([
      'FRANCE|GERMANY|1995', 'FRANCE|GERMANY|1996', 'GERMANY|FRANCE|1995', 'GERMANY|FRANCE|1996',
    ]);
    expect(column('q08', 0)).toEqual(['1995', '1996']);
    expect(column('q12', 0)).toEqual(['MAIL', 'SHIP']);
    expect(column('q22', 0)).toEqual(['13', '17', '18', '23', '29', '30', '31']);
  });

  it('have figures in proportion to the specification\'s answers at scale 1', () => {
    expectInProportion(figures('q01', 9)[0] ?? 0, 1_478_493, 3);
    expectInProportion(figures('q01', 9)[1] ?? 0, 38_854, 15);
    expectInProportion(figures('q01', 9)[2] ?? 0, 2_920_374, 3);
    expectInProportion(figures('q01', 9)[3] ?? 0, 1_478_870, 3);
    expect(figures('q01', 6)[0]).toBeCloseTo(25.52, 0);
    expect(figures('q01', 8)[0]).toBeCloseTo(0.05, 2);
    expectInProportion(total(figures('q04', 1)), 52_523, 10);
    expectInProportion(figures('q06', 0)[0] ?? 0, 123_141_078.23, 10);
    expectInProportion(total(figures('q12', 1)), 12_402, 20);
    expectInProportion(total(figures('q12', 2)), 18_586, 20);
    expect(lines('q13')[0]?.split('|')[0]).toBe('0');
    expectInProportion(figures('q13', 1)[0] ?? 0, 50_005, 3);
    expect(figures('q14', 0)[0]).toBeGreaterThan(13);
    expect(figures('q14', 0)[0]).toBeLessThan(20);
    expectInProportion(total(figures('q22', 1)), 6384, 20);
  });

  it('add up what the generator made: query 6, and the first line of query 1', () => {
    let revenue = 0;
    const first = { quantity: 0, base: 0, discounted: 0n, charge: 0n, count: 0 };
    for (const row of tpchRows(scale).rowsOf('lineitem')) {
      const [quantity = 0, price = 0, discount = 0, tax = 0] = row.slice(4, 8).map((value) => Math.round(Number(value) * 100));
      const shipped = String(row[10]);
      if (shipped >= '1994-01-01' && shipped < '1995-01-01' && discount >= 5 && discount <= 7 && quantity < 2400) revenue += price * discount;
      if (shipped > '1998-09-02' || row[8] !== 'A') continue;
      first.quantity += quantity;
      first.base += price;
      first.discounted += BigInt(price) * BigInt(100 - discount);
      first.charge += BigInt(price) * BigInt(100 - discount) * BigInt(100 + tax);
      first.count += 1;
    }
    const digits = (column: number): string => column === 9 ? lines('q01')[0]?.split('|')[9] ?? '' : (lines('q01')[0]?.split('|')[column] ?? '').replace('.', '');
    expect(lines('q06')).toEqual([(revenue / 10_000).toFixed(4)]);
    expect([2, 3, 4, 5, 9].map(digits)).toEqual([first.quantity, first.base, first.discounted, first.charge, first.count].map(String));
  });
});

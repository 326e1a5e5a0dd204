import { describe, expect, it } from 'vitest';
import type { DataRow } from '../../../bench/data/copy-text.ts';
import { tpchRows } from '../../../bench/data/tpch/tpch-rows.ts';
import { tpchSize } from '../../../bench/data/tpch/tpch-size.ts';
import { tpchTableNames, tpchTables, type TpchTableName } from '../../../bench/data/tpch/tpch-tables.ts';

const columns = Object.fromEntries(tpchTables('by-key').map((table) => [table.name, table.columns]));

/** The rows of a table, by column. */
function read(table: TpchTableName, scale: number, seed?: number): Readonly<Record<string, DataRow[number]>>[] {
  const names = columns[table] ?? [];
  return [...tpchRows(scale, seed).rowsOf(table)].map((row) => Object.fromEntries(row.map((value, index) => [names[index], value])));
}

const share = <T>(list: readonly T[], holds: (item: T) => boolean): number => list.filter(holds).length / list.length;
const cents = (decimal: unknown): number => Math.round(Number(decimal) * 100);

describe('tpchRows', () => {
  it('makes the same rows for the same seed, and others for another', () => {
    const first = read('lineitem', 0.001);
    expect(read('lineitem', 0.001)).toEqual(first);
    expect(read('lineitem', 0.001, 7)).not.toEqual(first);
  });

  it('keeps its rows from version to version, so that figures can be compared', () => {
    expect([...tpchRows(0.001).rowsOf('lineitem')][0]?.join('|')).toMatchInlineSnapshot(`"1|26|9|1|1.00|926.02|0.05|0.00|A|F|1995-06-03|1995-05-18|1995-06-12|DELIVER IN PERSON|AIR|ipliers? thin"`);
    expect([...tpchRows(0.001).rowsOf('orders')].at(-1)?.join('|')).toMatchInlineSnapshot(`"5988|91|F|168552.49|1994-12-17|4-NOT SPECIFIED|Clerk#000000001|0|might are doggedly pains. deposits do hang blithely attainmen"`);
    expect([...tpchRows(0.001).rowsOf('part')][0]?.join('|')).toMatchInlineSnapshot(`"1|magenta navajo misty snow grey|Manufacturer#2|Brand#23|MEDIUM ANODIZED NICKEL|25|MED PKG|901.00|ometimes "`);
    expect([...tpchRows(0.001).rowsOf('supplier')][0]?.join('|')).toMatchInlineSnapshot(`"1|Supplier#000000001|j ifBYO2hg6173wk|3|13-260-627-9957|9470.26| are about the special requests-- quiet, regular platelets along the ruthless "`);
  });

  it.each([0.001, 0.002, 0.003, 0.01, 0.015])('has as many rows as the specification says at scale %d, with different keys', (scale) => {
    const size = tpchSize(scale);
    const counts = { region: 5, nation: 25, supplier: size.suppliers, part: size.parts, partsupp: size.parts * 4, customer: size.customers, orders: size.orders };
    for (const [table, count] of Object.entries(counts)) {
      const rows = [...tpchRows(scale).rowsOf(table as keyof typeof counts)];
      expect(rows).toHaveLength(count);
      const keyColumns = table === 'partsupp' ? 2 : 1;
      expect(new Set(rows.map((row) => row.slice(0, keyColumns).join(' '))).size).toBe(count);
      expect(new Set(rows.map((row) => row.length))).toEqual(new Set([columns[table]?.length]));
    }
    expect([size.suppliers, size.parts, size.customers, size.orders].map((rows) => rows / scale)).toEqual([10_000, 200_000, 150_000, 1_500_000]);
  });

  it('refuses a scale that has too few suppliers', () => {
    expect(() => tpchRows(0.0009)).toThrow(RangeError);
    expect(() => tpchRows(Number.NaN)).toThrow(RangeError);
  });

  it.each([0.001, 0.01])('refers only to rows that exist, at scale %d', (scale) => {
    const size = tpchSize(scale);
    const lines = read('lineitem', scale);
    const orders = read('orders', scale);
    const offers = new Set(read('partsupp', scale).map((row) => `${row['ps_partkey']} ${row['ps_suppkey']}`));
    expect(lines.filter((row) => !offers.has(`${row['l_partkey']} ${row['l_suppkey']}`))).toEqual([]);
    expect(new Set(lines.map((row) => row['l_orderkey']))).toEqual(new Set(orders.map((row) => row['o_orderkey'])));
    expect(orders.filter(({ o_custkey: key }) => !(Number(key) >= 1 && Number(key) <= size.customers))).toEqual([]);
    expect(Math.max(...[...offers].map((pair) => Number(pair.split(' ')[1])))).toBe(size.suppliers);
  });

  it('leaves a third of the customers without orders, and three quarters of the order keys unused', () => {
    const orders = read('orders', 0.01);
    expect(orders.filter(({ o_custkey: key }) => Number(key) % 3 === 0)).toEqual([]);
    expect(new Set(orders.map((row) => row['o_custkey'])).size).toBeGreaterThan(990);
    expect(orders.filter(({ o_orderkey: key }) => Number(key) % 32 >= 8)).toEqual([]);
    expect(Number(orders.at(-1)?.['o_orderkey']) / orders.length).toBeCloseTo(4, 2);
  });

  it('has one to seven lines in an order, four on average, numbered from 1', () => {
    const lines = read('lineitem', 0.01);
    expect(lines.length / tpchSize(0.01).orders).toBeCloseTo(4, 1);
    expect(new Set(lines.map((row) => row['l_linenumber']))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7]));
    expect(new Set(lines.map((row) => `${row['l_orderkey']} ${row['l_linenumber']}`)).size).toBe(lines.length);
  });

  it('derives dates, flags, states and totals as the specification does', () => {
    const orders = new Map(read('orders', 0.002).map((row) => [row['o_orderkey'], row]));
    const totals = new Map<unknown, number>();
    const states = new Map<unknown, Set<unknown>>();
    const days = (later: unknown, earlier: unknown): number => (Date.parse(String(later)) - Date.parse(String(earlier))) / 86_400_000;
    for (const line of read('lineitem', 0.002)) {
      const { l_orderkey: key, l_shipdate: shipped, l_commitdate: committed, l_receiptdate: received, l_linestatus: state, l_returnflag: flag } = line;
      const ordered = orders.get(key ?? null)?.['o_orderdate'];
      expect(days(shipped, ordered)).toBeGreaterThanOrEqual(1);
      expect(days(shipped, ordered)).toBeLessThanOrEqual(121);
      expect(days(committed, ordered)).toBeGreaterThanOrEqual(30);
      expect(days(committed, ordered)).toBeLessThanOrEqual(90);
      expect(days(received, shipped)).toBeGreaterThanOrEqual(1);
      expect(days(received, shipped)).toBeLessThanOrEqual(30);
      expect(state).toBe(String(shipped) > '1995-06-17' ? 'O' : 'F');
      expect(String(received) <= '1995-06-17' ? ['R', 'A'] : ['N']).toContain(flag);
      const part = Number(line['l_partkey']);
      expect(cents(line['l_extendedprice'])).toBe((90_000 + (Math.floor(part / 10) % 20_001) + 100 * (part % 1000)) * Number(line['l_quantity']));
      const discounted = Math.floor((cents(line['l_extendedprice']) * (100 - cents(line['l_discount']))) / 100);
      totals.set(key, (totals.get(key) ?? 0) + Math.floor((discounted * (100 + cents(line['l_tax']))) / 100));
      states.set(key, (states.get(key) ?? new Set()).add(state));
    }
    for (const [key, order] of orders) {
      expect(cents(order['o_totalprice'])).toBe(totals.get(key));
      expect(order['o_orderstatus']).toBe((states.get(key)?.size ?? 0) > 1 ? 'P' : [...(states.get(key) ?? [])][0]);
    }
    const dates = [...orders.values()].map((order) => String(order['o_orderdate'])).sort();
    expect([String(dates[0]).slice(0, 7), String(dates.at(-1)).slice(0, 7)]).toEqual(['1992-01', '1998-08']);
  });

  it('has the words that queries look for as often as they expect', () => {
    expect(share(read('orders', 0.02), (row) => /special.*requests/.test(String(row['o_comment'])))).toBeCloseTo(0.011, 2);
    const suppliers = read('supplier', 0.4);
    expect(suppliers.filter((row) => /Customer.*Complaints/.test(String(row['s_comment'])))).toHaveLength(2);
    expect(suppliers.filter((row) => /Customer.*Recommends/.test(String(row['s_comment'])))).toHaveLength(2);
    expect(suppliers.filter((row) => !/^.{25,100}$/.test(String(row['s_comment'])))).toEqual([]);
    const parts = read('part', 0.05);
    expect(share(parts, (row) => String(row['p_name']).includes('green'))).toBeCloseTo(5 / 92, 2);
    expect(share(parts, (row) => new Set(String(row['p_name']).split(' ')).size === 5)).toBe(1);
    expect(share(parts, (row) => String(row['p_type']).startsWith('PROMO'))).toBeCloseTo(1 / 6, 1);
    expect(share(parts, (row) => String(row['p_brand']).charAt(6) === String(row['p_mfgr']).at(-1))).toBe(1);
    expect(new Set(parts.map((row) => row['p_container'])).size).toBe(40);
    expect(new Set(parts.map((row) => row['p_type'])).size).toBe(150);
    const customers = read('customer', 0.02);
    expect(share(customers, (row) => Number(row['c_nationkey']) + 10 === Number(String(row['c_phone']).slice(0, 2)))).toBe(1);
    expect(share(customers, (row) => row['c_mktsegment'] === 'BUILDING')).toBeCloseTo(0.2, 1);
    expect(share(customers, (row) => String(row['c_acctbal']).startsWith('-'))).toBeCloseTo(1 / 11, 1);
  });
});

describe('tpchTables', () => {
  it('places orders and their lines together in both layouts, regions and nations on every node', () => {
    const placements = (layout: 'by-key' | 'reference'): string[] =>
      tpchTables(layout).map(({ name, placement }) => `${name}: ${placement.kind === 'reference' ? 'reference' : placement.column}`);
    expect(placements('by-key')).toEqual([
      'region: reference', 'nation: reference', 'supplier: s_suppkey', 'part: p_partkey', 'partsupp: ps_partkey', 'customer: c_custkey',
      'orders: o_orderkey', 'lineitem: l_orderkey',
    ]);
    expect(placements('reference')).toEqual([
      'region: reference', 'nation: reference', 'supplier: reference', 'part: reference', 'partsupp: reference', 'customer: reference',
      'orders: o_orderkey', 'lineitem: l_orderkey',
    ]);
    expect(tpchTableNames).toHaveLength(8);
  });
});

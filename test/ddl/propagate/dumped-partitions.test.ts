import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../../src/base/assert.ts';
import type { Cluster } from '../../../src/index.ts';
import { compareDefinitions, outcome } from './compare-definitions.ts';
import { type EmptyPair, startEmptyPair } from './empty-pair.ts';

/** As pg_dump writes it: partitions are tables that are attached. */
const tables = `
CREATE TABLE public.tenants (id bigint NOT NULL, name text, grid integer[][]);
CREATE TABLE public.logs (tenant_id bigint NOT NULL, id integer NOT NULL, at date NOT NULL, kind text NOT NULL, note text) PARTITION BY RANGE (at);
CREATE TABLE public.logs_1 (tenant_id bigint NOT NULL, id integer NOT NULL, at date NOT NULL, kind text NOT NULL, note text);
CREATE TABLE public.logs_2 (kind text NOT NULL, tenant_id bigint NOT NULL, id integer NOT NULL, at date NOT NULL, note text) PARTITION BY LIST (kind);
CREATE TABLE public.logs_2_a (tenant_id bigint NOT NULL, id integer NOT NULL, at date NOT NULL, kind text NOT NULL, note text);
CREATE TABLE public.logs_2_rest (tenant_id bigint NOT NULL, id integer NOT NULL, at date NOT NULL, kind text NOT NULL, note text);
ALTER TABLE ONLY public.logs ATTACH PARTITION public.logs_1 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
ALTER TABLE ONLY public.logs ATTACH PARTITION public.logs_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
ALTER TABLE ONLY public.logs_2 ATTACH PARTITION public.logs_2_a FOR VALUES IN ('a');
ALTER TABLE ONLY public.logs_2 ATTACH PARTITION public.logs_2_rest DEFAULT`;

const rows = ["INSERT INTO public.tenants VALUES (1, 'one'), (2, 'two'), (3, 'three')", "INSERT INTO public.logs_1 SELECT t, i, date '2024-03-01' + i, 'k', 'n' FROM generate_series(1, 3) t, generate_series(1, 5) i", "INSERT INTO public.logs_2_rest SELECT t, i, date '2025-03-01' + i, 'b', 'n' FROM generate_series(1, 3) t, generate_series(1, 5) i"];

/** What follows the rows: keys and indexes of each table alone, parts put together, and foreign keys at the end. */
const statements = [
  'ALTER TABLE ONLY public.logs ADD CONSTRAINT logs_pkey PRIMARY KEY (tenant_id, at, kind, id)', 'ALTER TABLE ONLY public.logs_1 ADD CONSTRAINT "Key of 1" PRIMARY KEY (tenant_id, at, kind, id)', 'ALTER TABLE ONLY public.logs_2 ADD CONSTRAINT logs_2_pkey PRIMARY KEY (tenant_id, at, kind, id)',
  'ALTER TABLE ONLY public.logs_2_a ADD CONSTRAINT logs_2_a_pkey PRIMARY KEY (tenant_id, at, kind, id)', 'ALTER TABLE ONLY public.logs ADD CONSTRAINT logs_once UNIQUE (tenant_id, id, at, kind)', 'ALTER TABLE ONLY public.logs_2_rest ADD CONSTRAINT logs_2_rest_pkey PRIMARY KEY (tenant_id, at, kind, id)',
  'ALTER TABLE ONLY public.tenants ADD CONSTRAINT tenants_pkey PRIMARY KEY (id)',
  'CREATE INDEX by_note ON ONLY public.logs USING btree (note) WITH (fillfactor=70)', 'CREATE INDEX logs_1_note_idx ON public.logs_1 USING btree (note)', 'CREATE INDEX another ON public.logs_1 USING btree (note)', 'CREATE INDEX logs_2_note_idx ON ONLY public.logs_2 USING btree (note)',
  'CREATE INDEX logs_2_a_note_idx ON public.logs_2_a USING btree (note)', 'CREATE INDEX logs_2_rest_note_idx ON public.logs_2_rest USING btree (note)', `COMMENT ON INDEX by_note IS 'not whole yet'`,
];
const attached = [
  'ALTER INDEX public.logs_pkey ATTACH PARTITION public."Key of 1"', 'ALTER INDEX public.logs_pkey ATTACH PARTITION public.logs_2_pkey', 'ALTER INDEX public.logs_2_pkey ATTACH PARTITION public.logs_2_a_pkey', 'ALTER INDEX public.logs_2_pkey ATTACH PARTITION public.logs_2_rest_pkey',
  'ALTER INDEX public.by_note ATTACH PARTITION public.another', 'ALTER INDEX public.by_note ATTACH PARTITION public.logs_1_note_idx', 'ALTER INDEX public.by_note ATTACH PARTITION public.another', 'ALTER INDEX public.logs_2_note_idx ATTACH PARTITION public.logs_2_a_note_idx',
  'ALTER INDEX public.by_note ATTACH PARTITION public.logs_2_note_idx', 'ALTER INDEX public.logs_2_note_idx ATTACH PARTITION public.logs_1_note_idx', 'ALTER INDEX public.logs_pkey ATTACH PARTITION public.logs_2_note_idx',
];
const last = [
  'ALTER INDEX public.logs_2_note_idx ATTACH PARTITION public.logs_2_rest_note_idx', 'ALTER TABLE public.logs ADD CONSTRAINT of_tenant FOREIGN KEY (tenant_id) REFERENCES public.tenants(id)', `INSERT INTO logs VALUES (1, 9, '2024-03-03', 'k'), (99, 9, '2024-03-03', 'k')`,
  `INSERT INTO logs VALUES (1, 1, '2025-03-02', 'b')`, `INSERT INTO logs VALUES (1, 1, '2025-03-02', 'b') ON CONFLICT (tenant_id, at, kind, id) DO NOTHING`, `INSERT INTO logs VALUES (1, 1, '2025-03-02', 'b') ON CONFLICT (tenant_id, id, at, kind) DO NOTHING`,
];
/** What else may be done with indexes that some partitions lack. */
const others = [
  'CREATE INDEX by_kind ON ONLY logs (kind)', `CREATE TABLE logs_3 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`, 'CREATE INDEX first_kinds ON logs_1 (kind)', 'ALTER INDEX by_kind ATTACH PARTITION first_kinds', 'DROP INDEX first_kinds', 'ALTER INDEX by_kind RENAME TO kinds',
  'ALTER TABLE logs ALTER note TYPE varchar(40)', 'CREATE INDEX second_kinds ON logs_2 (kind)', 'ALTER TABLE logs DETACH PARTITION logs_1', `ALTER TABLE ONLY logs ATTACH PARTITION logs_1 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')`, 'ALTER INDEX kinds ATTACH PARTITION second_kinds',
  'CREATE INDEX ON ONLY logs_2 (id)', 'CREATE INDEX by_id ON logs (id)', 'DROP INDEX kinds', 'CREATE INDEX empty_kinds ON ONLY logs (kind, note)', 'DROP INDEX empty_kinds', 'ALTER TABLE logs DROP CONSTRAINT logs_once',
];

describe.each([15, 18] as const)('indexes of partitioned tables that are put together, on version %i', (major) => {
  let pair: EmptyPair;
  let cluster: Cluster;
  let plain: Pool;

  beforeAll(async () => {
    pair = await startEmptyPair(major);
    ({ cluster, plain } = pair);
    for (const pool of [cluster, plain]) await pool.query(tables);
    await cluster.createDistributedTable('tenants', 'id', { shardCount: 3 });
    await cluster.createDistributedTable('logs', 'tenant_id', { colocateWith: 'tenants' });
  });
  afterAll(() => pair[Symbol.asyncDispose]());

  async function runBoth(texts: readonly string[]): Promise<void> {
    for (const text of texts) expect({ text, got: await outcome(cluster, text) }).toEqual({ text, got: await outcome(plain, text) });
    await compare();
  }

  async function compare(): Promise<void> {
    const { databases: { coordinator, nodes }, reference } = pair;
    expect(await compareDefinitions({ cluster, coordinator, nodes, plain: reference.coordinator })).toBeGreaterThan(2);
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  }

  test('what pg_dump writes comes to the shards, step by step', async () => {
    await runBoth(rows);
    await runBoth(statements);
    await runBoth(attached);
  });

  test('tables whose indexes are not whole are distributed, altered and moved as they are', async () => {
    await cluster.undistributeTable('logs');
    await cluster.createDistributedTable('logs', 'tenant_id', { colocateWith: 'tenants' });
    await compare();
    await cluster.alterDistributedTable('logs', { shardCount: 2, colocateWith: 'none' });
    await compare();
    await cluster.alterDistributedTable('logs', { colocateWith: 'tenants' });
    await compare();
    const { shardId, nodeId } = at((await cluster.shards()).filter(({ table }) => table === 'logs'), 0);
    await cluster.moveShardGroup(shardId, { to: nodeId === 1 ? 2 : 1 });
    await compare();
  });

  test('the last part makes them whole', async () => {
    await runBoth(last);
    const { rows: found } = await cluster.query(`SELECT count(*)::int FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relkind = 'I' AND NOT indisvalid AND relname <> 'logs_once'`);
    expect(found).toEqual([{ count: 0 }]);
  });

  test('others are changed and dropped', () => runBoth(others));

  test('arrays have the dimensions that were written, and what is not there is told of', () => runBoth([
    'ALTER TABLE logs ADD cube int[][][]', 'ALTER TABLE logs ALTER cube TYPE text[][]', 'ALTER TABLE tenants ADD CONSTRAINT small CHECK (id < 1000)', 'TRUNCATE logs, missing', 'TRUNCATE missing, public.logs',
  ]));

  test('a local table with rows is attached below foreign keys once it is distributed', async () => {
    const attach = `ALTER TABLE logs ATTACH PARTITION arrived FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')`;
    await runBoth(['CREATE TABLE arrived (LIKE logs)', `INSERT INTO arrived (tenant_id, id, at, kind) SELECT t, 1, '2030-03-03', 'k' FROM generate_series(1, 3) t`]);
    await expect(cluster.query(attach)).rejects.toMatchObject({ code: '23503' });
    await cluster.createDistributedTable('arrived', 'tenant_id', { colocateWith: 'tenants' });
    await runBoth([attach, `SELECT count(*)::int FROM logs WHERE at > '2030-01-01'`, `INSERT INTO arrived (tenant_id, id, at, kind) VALUES (77, 1, '2030-03-03', 'k')`]);
  });

  test('what a partitioned table alone is given stays with it', () => runBoth([
    `ALTER TABLE ONLY logs ALTER note SET DEFAULT 'above', ALTER note SET STATISTICS 30`, `INSERT INTO logs (tenant_id, id, at, kind) VALUES (1, 70, '2024-03-03', 'k') RETURNING note`, `INSERT INTO logs_1 (tenant_id, id, at, kind) VALUES (1, 71, '2024-03-03', 'k') RETURNING note`,
    `ALTER TABLE logs ALTER note SET DEFAULT 'all', ALTER note SET STATISTICS 40`, `INSERT INTO logs_1 (tenant_id, id, at, kind) VALUES (1, 72, '2024-03-03', 'k') RETURNING note`, `ALTER TABLE ONLY logs_2 ALTER note SET DEFAULT 'middle', ALTER note SET STORAGE EXTERNAL`, 'ALTER TABLE ONLY logs ALTER note DROP DEFAULT',
    `INSERT INTO logs_2_rest (tenant_id, id, at, kind) VALUES (1, 73, '2025-03-03', 'k') RETURNING note`, 'ALTER TABLE ONLY logs ADD more int', 'ALTER TABLE ONLY logs ADD CHECK (id > 0)', 'ALTER TABLE ONLY logs DROP COLUMN note', 'ALTER TABLE ONLY logs ALTER note TYPE text', 'ALTER TABLE ONLY logs DROP CONSTRAINT logs_pkey',
  ]));
});

import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../src/index.ts';
import type { TestDatabases } from '../../support/test-databases.ts';
import { compareDefinitions, outcome } from './compare-definitions.ts';
import { type EmptyPair, startEmptyPair } from './empty-pair.ts';

const tables = `
CREATE TABLE tenants (id bigint PRIMARY KEY, name text);
CREATE TABLE plans (code text PRIMARY KEY, price numeric);
CREATE TABLE logs (tenant_id bigint, id int, at date, kind text DEFAULT 'a', note text NOT NULL DEFAULT '', CONSTRAINT sane CHECK (id > 0), PRIMARY KEY (tenant_id, at, kind, id)) PARTITION BY RANGE (at);
CREATE TABLE logs_1 PARTITION OF logs (CONSTRAINT small CHECK (id < 1000)) FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE logs_2 (dropped int, note text NOT NULL DEFAULT '', kind text NOT NULL DEFAULT 'b', at date NOT NULL, id int NOT NULL, tenant_id bigint NOT NULL, CONSTRAINT sane CHECK (id > 0)) PARTITION BY LIST (kind);
ALTER TABLE logs_2 DROP COLUMN dropped;
CREATE TABLE logs_2_a PARTITION OF logs_2 FOR VALUES IN ('a');
CREATE TABLE logs_2_rest PARTITION OF logs_2 (CONSTRAINT brief CHECK (length(note) < 90)) DEFAULT;
ALTER TABLE logs ATTACH PARTITION logs_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE logs_3 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX by_note ON logs (note);
CREATE TABLE readings (tenant_id bigint, at date, no int, note text, other text, CONSTRAINT "The key" PRIMARY KEY (tenant_id, at, no), CHECK (no > 0)) PARTITION BY RANGE (at);
CREATE TABLE readings_1 PARTITION OF readings FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE readings_2 (tenant_id bigint NOT NULL, dropped int, no int NOT NULL, at date NOT NULL, note text, other text, CONSTRAINT readings_no_check CHECK (no > 0)) PARTITION BY RANGE (at);
ALTER TABLE readings_2 DROP COLUMN dropped;
CREATE TABLE "Readings of 2025" PARTITION OF readings_2 DEFAULT;
ALTER TABLE readings ATTACH PARTITION readings_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX by_number ON readings (note, (no + 1)) WITH (fillfactor = 70);
CREATE UNIQUE INDEX ON readings (tenant_id, at, note); CREATE INDEX own ON readings_1 (note);
CREATE TABLE keyless (tenant_id bigint, id int, note text) PARTITION BY LIST (note);
CREATE TABLE keyless_rest PARTITION OF keyless DEFAULT PARTITION BY RANGE (id); CREATE TABLE keyless_all PARTITION OF keyless_rest DEFAULT`;

const rows = `
INSERT INTO tenants SELECT i, 'tenant ' || i FROM generate_series(1, 9) i;
INSERT INTO plans VALUES ('free', 0), ('pro', 20), ('a', 1), ('b', 2);
INSERT INTO readings SELECT t, date '2024-03-01' + i * 60, i, i || '0', 'x' FROM generate_series(1, 6) t, generate_series(1, 10) i;
INSERT INTO logs SELECT t, i, date '2024-03-01' + i * 60, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END, 'n' || i FROM generate_series(1, 6) t, generate_series(1, 15) i`;

/** One after the other, on the same tables. */
const groups: Readonly<Record<string, readonly string[]>> = {
  columns: [
    'ALTER TABLE logs ADD COLUMN n int, ADD COLUMN since timestamptz NOT NULL DEFAULT now(), ADD COLUMN half numeric(6, 1) DEFAULT 0.5 CHECK (half < 100)', 'SELECT count(*)::int, count(DISTINCT since)::int, sum(half) FROM logs',
    'UPDATE logs SET n = id', `ALTER TABLE logs ALTER n TYPE text USING 'n' || n, ALTER n SET DEFAULT 'none'`, `ALTER TABLE logs_1 ALTER n SET DEFAULT 'one'`, 'ALTER TABLE logs RENAME note TO words', 'ALTER TABLE logs ALTER words DROP NOT NULL, ALTER n SET NOT NULL',
    `INSERT INTO logs (tenant_id, id, at) VALUES (1, 500, '2024-02-02'), (2, 501, '2025-02-02') RETURNING n, kind, words`, 'ALTER TABLE logs DROP COLUMN since', 'ALTER TABLE logs_1 ADD COLUMN own int', 'ALTER TABLE logs_1 DROP COLUMN n', 'ALTER TABLE logs DROP COLUMN at',
    `COMMENT ON COLUMN logs.n IS 'a number'; COMMENT ON CONSTRAINT sane ON logs_2_a IS 'from above'`, 'ALTER TABLE logs ALTER n TYPE varchar(20)', 'ALTER TABLE logs ADD twice int GENERATED ALWAYS AS (id * 2) STORED', 'SELECT sum(twice)::int FROM logs',
  ],
  indexes: [
    'CREATE INDEX ON logs (kind, id)', 'CREATE UNIQUE INDEX once ON logs (tenant_id, at, kind, id, n)', 'CREATE INDEX only_here ON logs_2_rest (id) WHERE id > 3', 'ALTER INDEX by_note RENAME TO by_words', 'ALTER INDEX logs_1_note_idx RENAME TO first_words', 'DROP INDEX once',
    'CREATE INDEX CONCURRENTLY on_leaf ON logs_1 (half)', 'DROP INDEX logs_1_kind_id_idx', 'CREATE INDEX ON logs_2 (twice)', 'ALTER TABLE logs_1 CLUSTER ON first_words', 'ALTER INDEX on_leaf SET (fillfactor = 60)', 'COMMENT ON INDEX by_words IS $$words$$',
  ],
  'types of columns with indexes': [
    'ALTER INDEX readings_1_note_expr_idx RENAME TO "another name"', 'ALTER TABLE readings_1 RENAME CONSTRAINT readings_1_pkey TO first_key', 'ALTER TABLE readings ALTER note TYPE int USING note::int', 'SELECT sum(note)::int FROM readings', 'ALTER TABLE readings ALTER no TYPE bigint',
    'ALTER TABLE readings ALTER other TYPE varchar(9), ALTER note TYPE numeric(8, 2) USING note / 3.0, ALTER no TYPE int', `COMMENT ON INDEX readings_1_note_expr_idx IS 'rebuilt'; COMMENT ON CONSTRAINT readings_1_pkey ON readings_1 IS 'as well'`, 'ALTER INDEX readings_1_note_expr_idx ALTER COLUMN 2 SET STATISTICS 40',
    `ALTER TABLE readings ALTER note TYPE text USING 'n' || note, ALTER no TYPE smallint`, 'INSERT INTO readings SELECT * FROM readings WHERE tenant_id = 1', 'ALTER TABLE readings ALTER no TYPE int USING 1', 'ALTER TABLE readings ALTER note TYPE int', 'ALTER INDEX by_number RENAME TO by_note_and_number',
    'DROP INDEX readings_1_note_expr_idx', 'DROP INDEX by_note_and_number', 'CREATE INDEX ON readings (other)', 'ALTER TABLE readings ALTER other TYPE "char"', 'ALTER TABLE readings DROP CONSTRAINT "The key"',
  ],
  constraints: [
    'ALTER TABLE logs ADD CONSTRAINT positive CHECK (id > -5), ADD UNIQUE (tenant_id, at, kind, id, words)', 'ALTER TABLE logs RENAME CONSTRAINT positive TO above', 'ALTER TABLE logs_2 ADD CONSTRAINT below CHECK (id < 900)', 'ALTER TABLE logs ADD FOREIGN KEY (kind) REFERENCES plans ON DELETE CASCADE',
    'ALTER TABLE logs ADD CONSTRAINT of_tenant FOREIGN KEY (tenant_id) REFERENCES tenants', `INSERT INTO logs (tenant_id, id, at) VALUES (99, 1, '2024-02-02')`, `INSERT INTO logs_2_rest (tenant_id, id, at, kind) VALUES (1, 1, '2025-02-02', 'x')`, `INSERT INTO logs (tenant_id, id, at) VALUES (1, -1, '2025-02-02')`,
    'ALTER TABLE logs_1 DROP CONSTRAINT above', 'ALTER TABLE logs DROP CONSTRAINT above', 'ALTER TABLE logs_1 ADD CONSTRAINT later CHECK (id < 5000) NOT VALID', 'ALTER TABLE logs_1 VALIDATE CONSTRAINT later', 'ALTER TABLE logs DROP CONSTRAINT logs_kind_fkey', 'ALTER TABLE logs DROP CONSTRAINT logs_tenant_id_at_kind_id_words_key',
    'ALTER TABLE logs ALTER CONSTRAINT of_tenant DEFERRABLE INITIALLY DEFERRED', 'ALTER TABLE logs ADD CONSTRAINT by_parts CHECK (id > 0) NOT VALID', 'ALTER TABLE logs_1 VALIDATE CONSTRAINT by_parts', 'ALTER TABLE logs_2 VALIDATE CONSTRAINT by_parts', 'ALTER TABLE logs VALIDATE CONSTRAINT by_parts', 'ALTER TABLE logs DROP CONSTRAINT by_parts',
    'ALTER TABLE logs_2 ATTACH PARTITION logs_1 FOR VALUES IN ($$q$$)',
  ],
  'keys over columns that may be null': [
    'INSERT INTO keyless VALUES (1, 1, $$a$$), (2, 1, $$b$$)', 'ALTER TABLE keyless ADD PRIMARY KEY (tenant_id, id, note)', 'INSERT INTO keyless VALUES (3, NULL, $$c$$)', 'ALTER TABLE keyless DROP CONSTRAINT keyless_pkey', 'ALTER TABLE keyless ALTER id DROP NOT NULL',
    'INSERT INTO keyless VALUES (3, NULL, $$c$$)', 'ALTER TABLE keyless ALTER note DROP NOT NULL, ALTER note SET DEFAULT $$d$$', 'INSERT INTO keyless VALUES (3, 4, NULL)', 'ALTER TABLE keyless_rest ALTER note SET NOT NULL', 'DELETE FROM keyless WHERE note IS NULL', 'ALTER TABLE keyless_all ALTER note SET NOT NULL',
    'ALTER TABLE keyless ALTER note SET NOT NULL', 'ALTER TABLE keyless ALTER note DROP NOT NULL', 'INSERT INTO keyless VALUES (3, 4, NULL)',
  ],
  settings: ['ALTER TABLE logs_1 SET (fillfactor = 70)', 'ALTER TABLE logs ALTER words SET STATISTICS 50', 'ALTER TABLE logs_2_a RENAME TO logs_2_first', 'ALTER TABLE logs RENAME TO journal', `SELECT count(*)::int FROM journal WHERE kind = 'a'`, 'ALTER TABLE journal RENAME TO logs', 'ALTER TABLE logs_3 REPLICA IDENTITY FULL'],
  detaching: [
    'ALTER TABLE logs DETACH PARTITION logs_1', 'SELECT count(*)::int FROM logs', 'SELECT count(*)::int, sum(id)::int FROM logs_1', `INSERT INTO logs (tenant_id, id, at) VALUES (1, 1, '2024-02-02')`, `INSERT INTO logs_1 (tenant_id, id, at, kind) VALUES (1, 1, '2044-02-02', 'a') RETURNING id`,
    'ALTER TABLE logs_1 DROP CONSTRAINT sane, ADD CONSTRAINT sane CHECK (id > -7), ALTER words SET NOT NULL', 'ALTER TABLE logs_1 ALTER words DROP NOT NULL', 'ALTER TABLE logs_1 ADD fresh int DEFAULT 3',
    'CREATE INDEX ON logs (id)', 'DELETE FROM logs_1 WHERE at > $$2040-01-01$$', `ALTER TABLE logs ATTACH PARTITION logs_1 FOR VALUES FROM ('2024-01-01') TO ('2024-06-01')`, 'ALTER TABLE logs_1 DROP fresh',
    `ALTER TABLE logs ATTACH PARTITION logs_1 FOR VALUES FROM ('2024-01-01') TO ('2024-12-01')`, 'SELECT count(*)::int FROM logs', `INSERT INTO logs (tenant_id, id, at) VALUES (1, 7, '2024-02-03') RETURNING kind`, 'ALTER TABLE logs DETACH PARTITION logs_1',
    'ALTER TABLE logs DETACH PARTITION logs_2', `ALTER TABLE logs ATTACH PARTITION logs_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')`, 'ALTER TABLE logs ADD CONSTRAINT again CHECK (id < 4000)', 'ALTER TABLE logs DETACH PARTITION logs_2', 'ALTER TABLE logs_2 ADD more text', 'SELECT count(*)::int FROM logs_2', 'ALTER TABLE logs DETACH PARTITION logs_1', 'DROP TABLE logs_1', 'ALTER TABLE logs DROP COLUMN half', 'ALTER TABLE logs DETACH PARTITION logs_3', 'SELECT count(*)::int FROM logs',
  ],
};

describe.each([15, 18] as const)('partitioned tables on version %i', (major) => {
  let pair: EmptyPair;
  let databases: TestDatabases;
  let reference: TestDatabases;
  let cluster: Cluster;
  let plain: Pool;

  beforeAll(async () => {
    pair = await startEmptyPair(major);
    ({ databases, reference, cluster, plain } = pair);
    for (const pool of [cluster, plain]) await pool.query(`${tables}; ${rows}`);
    await cluster.createReferenceTable('plans');
    await cluster.createDistributedTable('tenants', 'id', { shardCount: 3 });
    await cluster.createDistributedTable('logs', 'tenant_id', { colocateWith: 'tenants' });
    for (const table of ['readings', 'keyless']) await cluster.createDistributedTable(table, 'tenant_id', { colocateWith: 'tenants' });
  });

  afterAll(() => pair[Symbol.asyncDispose]());

  test.each(Object.entries(groups))('%s: shards and rows are as on one PostgreSQL', async (_, statements) => {
    for (const text of statements) expect({ text, got: await outcome(cluster, text) }).toEqual({ text, got: await outcome(plain, text) });
    for (const name of ['logs', 'logs_2']) {
      const text = `SELECT * FROM ${name} ORDER BY tenant_id, at, id`;
      expect({ text, got: await outcome(cluster, text) }).toEqual({ text, got: await outcome(plain, text) });
    }
    const { coordinator, nodes } = databases;
    expect(await compareDefinitions({ cluster, coordinator, nodes, plain: reference.coordinator })).toBeGreaterThan(2);
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  });

  test('a virtual column gets another expression in all partitions, where the version has such columns', async () => {
    const made = `CREATE TABLE sums (tenant_id bigint, at date, n int) PARTITION BY RANGE (at); CREATE TABLE sums_1 PARTITION OF sums FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
      CREATE TABLE sums_2 PARTITION OF sums DEFAULT PARTITION BY LIST (n); CREATE TABLE sums_2_all PARTITION OF sums_2 DEFAULT; INSERT INTO sums SELECT i, date '2024-06-01' + 100 * i, i FROM generate_series(1, 9) i`;
    for (const pool of [cluster, plain]) await pool.query(made);
    await cluster.createDistributedTable('sums', 'tenant_id', { colocateWith: 'tenants' });
    for (const text of [
      'ALTER TABLE sums ADD v int GENERATED ALWAYS AS (n * 2)', 'ALTER TABLE sums ALTER v SET EXPRESSION AS (n * 3)', 'SELECT sum(v)::int FROM sums', 'ALTER TABLE sums_1 ALTER v SET EXPRESSION AS (n * 5)', 'SELECT sum(v)::int FROM sums',
      'ALTER TABLE sums_1 ADD CHECK (n > 0)', 'ALTER TABLE sums ALTER v SET EXPRESSION AS (n)', 'SELECT sum(v)::int FROM sums',
    ]) expect({ text, got: await outcome(cluster, text) }).toEqual({ text, got: await outcome(plain, text) });
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
    for (const pool of [cluster, plain]) await pool.query('DROP TABLE sums');
  });

  test('DETACH CONCURRENTLY, and what cannot be', async () => {
    for (const text of ['CREATE TABLE logs_4 PARTITION OF logs FOR VALUES FROM ($$2030-01-01$$) TO ($$2031-01-01$$)', 'BEGIN; ALTER TABLE logs DETACH PARTITION logs_4 CONCURRENTLY', 'ROLLBACK',
      'CREATE TABLE logs_5 PARTITION OF logs DEFAULT', 'ALTER TABLE logs DETACH PARTITION logs_4 CONCURRENTLY', 'DROP TABLE logs_5']) {
      expect({ text, got: await outcome(cluster, text) }).toMatchObject({ got: await outcome(plain, text) as object });
    }
    for (const pool of [cluster, plain]) await pool.query('ALTER TABLE logs DETACH PARTITION logs_4 CONCURRENTLY');
    expect(await compareDefinitions({ cluster, coordinator: databases.coordinator, nodes: databases.nodes, plain: reference.coordinator })).toBeGreaterThan(2);
    await expect(cluster.query('INSERT INTO logs_4 (tenant_id, id, at) VALUES (1, 1, $$2044-01-01$$)')).rejects.toMatchObject({ code: '23514' });
    await expect(cluster.query(`INSERT INTO logs_4 (tenant_id, id, at) VALUES (1, 1, '2030-03-03')`)).resolves.toMatchObject({ rowCount: 1 });
    await cluster.query(`DELETE FROM logs_4; CREATE TABLE apart (LIKE logs_4 INCLUDING ALL); SELECT create_distributed_table('apart', 'tenant_id', colocate_with => 'none')`);
    await cluster.query(`ALTER TABLE logs ATTACH PARTITION logs_4 FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')`);
    await expect(cluster.query(`ALTER TABLE logs ATTACH PARTITION apart FOR VALUES FROM ('2040-01-01') TO ('2041-01-01')`)).rejects.toMatchObject({ id: 'unsupportedDdl', detail: expect.stringContaining('not co-located') as string });
    await cluster.query('DROP TABLE apart');
    if (major === 18) await expect(cluster.query('ALTER TABLE logs ADD EXCLUDE USING btree (tenant_id WITH =, at WITH =)')).rejects.toMatchObject({ id: 'unsupportedTable', message: expect.stringContaining('it is partitioned, and has exclusion constraint') as string });
    await expect(cluster.query('CREATE INDEX CONCURRENTLY ON logs (kind)')).rejects.toMatchObject({ code: '0A000' });
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  });
});

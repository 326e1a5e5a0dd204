import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

const functions = `CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.note := coalesce(new.note, '') || TG_ARGV[0]; RETURN new; END $$`;

/** Ranges of time, one of them in lists by kind again, partitions with columns in another order and things of their own. */
const tables = `
CREATE TABLE events (tenant_id bigint, id bigint GENERATED ALWAYS AS IDENTITY, made timestamptz NOT NULL, kind text NOT NULL DEFAULT 'click', note text, amount int CONSTRAINT positive CHECK (amount > 0),
  PRIMARY KEY (tenant_id, made, kind, id)) PARTITION BY RANGE (made);
CREATE TABLE events_2023 PARTITION OF events (amount DEFAULT 23, CONSTRAINT old CHECK (amount < 1000)) FOR VALUES FROM ('2023-01-01Z') TO ('2024-01-01Z') WITH (fillfactor = 80);
CREATE TABLE events_2024 (extra_dropped int, note text, kind text NOT NULL DEFAULT 'view', made timestamptz NOT NULL, id bigint NOT NULL, tenant_id bigint NOT NULL, amount int CONSTRAINT positive CHECK (amount > 0)) PARTITION BY LIST (kind);
ALTER TABLE events_2024 DROP COLUMN extra_dropped;
CREATE TABLE events_2024_clicks PARTITION OF events_2024 FOR VALUES IN ('click', 'touch');
CREATE TABLE events_2024_rest PARTITION OF events_2024 (CONSTRAINT short CHECK (length(note) < 50)) DEFAULT;
ALTER TABLE events ATTACH PARTITION events_2024 FOR VALUES FROM ('2024-01-01Z') TO ('2025-01-01Z');
CREATE TABLE events_other PARTITION OF events DEFAULT;
CREATE INDEX ON events (kind, made);
CREATE INDEX only_here ON events_2023 (amount) WHERE amount > 5;
CREATE TRIGGER mark BEFORE INSERT ON events FOR EACH ROW WHEN (new.kind = 'touch') EXECUTE FUNCTION mark('!');
COMMENT ON TABLE events_2023 IS 'the first year';
CREATE TABLE visits (tenant_id bigint, made timestamptz, kind text, id bigint, n int, PRIMARY KEY (tenant_id, n), FOREIGN KEY (tenant_id, made, kind, id) REFERENCES events ON DELETE CASCADE)`;

const rows = `
INSERT INTO events (tenant_id, made, kind, amount) SELECT t, timestamptz '2022-11-01Z' + i * interval '50 days', (ARRAY['click', 'touch', 'view'])[1 + i % 3], 1 + i FROM generate_series(1, 6) t, generate_series(1, 20) i`;

const steps = [
  'SELECT * FROM events', 'SELECT * FROM events_2024', 'SELECT count(*) FROM events_2024_rest', `SELECT kind, count(*), sum(amount) FROM events WHERE made >= '2024-03-01' GROUP BY kind`,
  `SELECT * FROM events WHERE tenant_id = 3 AND made < '2023-06-01'`, 'SELECT e.tenant_id, count(*) FROM events e JOIN events_2023 f USING (tenant_id, kind) GROUP BY 1', 'SELECT * FROM events ORDER BY made DESC, tenant_id, id LIMIT 7',
  `INSERT INTO events (tenant_id, made) VALUES (7, '2023-05-05Z'), (8, '2024-05-05Z'), (9, '2030-01-01Z') RETURNING tenant_id, kind, amount, note`,
  `INSERT INTO events (tenant_id, made, kind, note) VALUES (7, '2024-05-05Z', 'touch', 'n') RETURNING note`, `INSERT INTO events_2023 (tenant_id, id, made) VALUES (7, 900, '2023-05-06Z') RETURNING amount`,
  `INSERT INTO events_2023 (tenant_id, id, made) VALUES (7, 901, '2024-05-06Z')`, `INSERT INTO events (tenant_id, made, amount) VALUES (7, '2023-05-06Z', 5000)`, `INSERT INTO events (tenant_id, made, amount) VALUES (7, '2023-05-06Z', -1)`,
  `INSERT INTO events (tenant_id, made, kind, note) VALUES (7, '2024-05-06Z', 'x', repeat('y', 60))`, `INSERT INTO events_2024_clicks (tenant_id, id, made, kind) VALUES (7, 902, '2024-05-06Z', 'view')`,
  `UPDATE events SET made = made + interval '1 year' WHERE kind = 'click' AND tenant_id < 4`, `UPDATE events SET kind = 'view' WHERE kind = 'touch'`, `SELECT kind, count(*) FROM events_2024_rest GROUP BY 1`,
  `DELETE FROM events WHERE made < '2023-02-01Z' RETURNING tenant_id`, `INSERT INTO visits SELECT tenant_id, made, kind, id, 1 FROM events WHERE amount = 9`, 'INSERT INTO visits VALUES (1, now(), $$x$$, 5, 99)', 'SELECT tenant_id, n FROM visits',
  `DELETE FROM events WHERE amount = 9 AND tenant_id = 2`, 'SELECT tenant_id, n FROM visits', 'TRUNCATE events_2023', 'SELECT count(*) FROM events', 'SELECT tenant_id, amount FROM events WHERE tenant_id = 5 FOR UPDATE',
];

describe.each([15, 18] as const)('partitioned tables on version %i', (major) => {
  let pair: ClusterAndPlain;
  let cluster: Cluster;
  beforeAll(async () => {
    pair = await startCluster({ major, nodes: 2 });
    cluster = pair.cluster;
    const text = major === 15 ? tables.replace('id bigint GENERATED ALWAYS AS IDENTITY', `id bigint DEFAULT nextval('ids')`) : tables;
    for (const { connectionString } of [pair.databases.coordinator, ...pair.databases.nodes]) await run(connectionString, functions);
    for (const pool of [cluster, pair.plain]) await pool.query(`CREATE SEQUENCE ids; ${pool === cluster ? '' : functions};${text};${rows}`);
    await cluster.createDistributedTable('events', 'tenant_id', { shardCount: 4 });
    await cluster.createDistributedTable('visits', 'tenant_id', { colocateWith: 'events' });
  });
  afterAll(() => pair[Symbol.asyncDispose](), 15_000);

  test('the whole tree is distributed, and nothing differs', async () => {
    const tree = (await cluster.tables()).filter(({ name }) => name.startsWith('events'));
    expect(tree.map(({ name }) => name).sort()).toEqual(['events', 'events_2023', 'events_2024', 'events_2024_clicks', 'events_2024_rest', 'events_other']);
    expect(new Set(tree.map(({ colocationId }) => colocationId)).size).toBe(1);
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  });

  test('rows and errors are those of one PostgreSQL', async () => {
    for (const text of steps) {
      const [ours, theirs] = await Promise.all([cluster, pair.plain].map((pool) => pool.query({ text, rowMode: 'array' }).then(
        ({ rows: found, rowCount, command, fields }: { rows: unknown[][]; rowCount: number | null; command: string; fields: { name: string }[] }) => {
          // Values of sequences are not those of one PostgreSQL.
          const ids = fields.findIndex(({ name }) => name === 'id');
          return { text, command, rowCount, rows: found.map((row) => JSON.stringify(row.filter((_, i) => i !== ids))).sort() };
        },
        ({ code, message }: { code: string; message: string }) => ({ text, code, message }),
      )));
      expect(ours).toEqual(theirs);
    }
  });

  test('nodes prune as PostgreSQL does', async () => {
    const { text } = await cluster.explain(`SELECT count(*) FROM events WHERE tenant_id = 3 AND made >= '2023-01-01Z' AND made < '2023-06-01Z'`, [], { verbose: true });
    expect(text).toContain('events_2023');
    expect(text).not.toContain('events_2024');
  });

  test('ONLY of what has no rows of its own is refused', async () => {
    await expect(cluster.query('SELECT * FROM ONLY events')).rejects.toMatchObject({ id: 'unsupportedQuery' });
    await expect(cluster.query('DELETE FROM ONLY events')).rejects.toMatchObject({ id: 'unsupportedQuery' });
  });

  test('what is planted in the shards of partitions is found', async () => {
    await cluster.dropTable('visits');
    const shard = await cluster.shardOf('events_2023', 3);
    const { connectionString } = at(pair.databases.nodes, shard.nodeId - 1);
    const parent = await cluster.shardOf('events', 3);
    await run(connectionString, `ALTER TABLE ${parent.name} DETACH PARTITION ${shard.name}`);
    const { differences } = await cluster.checkSchema();
    expect(differences[0]).toMatchObject({ table: 'events_2023', shard: shard.name, what: 'partition', found: null });
    for (let round = 0; round < 2; round += 1) for (const { repair } of (await cluster.checkSchema()).differences) await run(connectionString, repair);
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  });

  test('partitions that come later, and go', async () => {
    const [count, clean] = [`SELECT tenant_id, kind FROM events WHERE made > '2031-01-01Z' ORDER BY 1, 2`, async () => expect((await cluster.checkSchema()).text).toMatch(/no differences/)];
    await cluster.query(`CREATE TABLE events_2031 PARTITION OF events FOR VALUES FROM ('2031-01-01Z') TO ('2032-01-01Z')`);
    await cluster.query(`INSERT INTO events (tenant_id, made, kind) VALUES (1, '2031-05-05Z', 'touch'), (2, '2031-05-05Z', 'view')`);
    expect((await cluster.query('SELECT tenant_id, note FROM events_2031 ORDER BY 1')).rows).toEqual([{ tenant_id: '1', note: '!' }, { tenant_id: '2', note: null }]);
    await clean();
    // What was a local table comes with its rows.
    await cluster.query(`CREATE TABLE events_2032 (note text, tenant_id bigint NOT NULL, id bigint NOT NULL, made timestamptz NOT NULL, kind text NOT NULL, amount int CONSTRAINT positive CHECK (amount > 0)) PARTITION BY LIST (kind); CREATE TABLE events_2032_all PARTITION OF events_2032 DEFAULT`);
    await cluster.query(`INSERT INTO events_2032 (tenant_id, id, made, kind) SELECT i, i, '2032-02-02Z', 'late' FROM generate_series(1, 9) i`);
    await cluster.query(`ALTER TABLE events ATTACH PARTITION events_2032 FOR VALUES FROM ('2032-01-01Z') TO ('2033-01-01Z')`);
    expect((await cluster.query(count)).rows).toHaveLength(11);
    await clean();
    // A row in the way, on one shard.
    await cluster.query(`INSERT INTO events (tenant_id, made) VALUES (5, '2040-05-05Z')`);
    await expect(cluster.query(`CREATE TABLE events_2040 PARTITION OF events FOR VALUES FROM ('2040-01-01Z') TO ('2041-01-01Z')`)).rejects.toMatchObject({ code: '23514' });
    await cluster.query(`DELETE FROM events WHERE made > '2040-01-01Z'`);
    // In a block, whose settings stay what they were.
    const client = await cluster.connect();
    await client.query(`BEGIN; SET LOCAL TimeZone = 'Asia/Tokyo'; SELECT count(*) FROM events`);
    await client.query(`CREATE TABLE events_2041 PARTITION OF events FOR VALUES FROM ('2041-01-01Z') TO ('2042-01-01Z')`);
    await client.query(`INSERT INTO events (tenant_id, made, kind) VALUES (1, '2041-05-05Z', 'x')`);
    expect((await client.query({ text: 'SELECT made::text FROM events_2041 WHERE tenant_id = 1', rowMode: 'array' })).rows).toEqual([['2041-05-05 09:00:00+09']]);
    await client.query('ROLLBACK');
    client.release();
    await clean();
    await expect(cluster.undistributeTable('events_2031')).rejects.toMatchObject({ id: 'unsupportedTable' });
    await cluster.query('DROP TABLE events_2031');
    await cluster.dropTable('events_2032');
    expect((await cluster.query(count)).rows).toEqual([]);
    await cluster.query(`COMMENT ON TABLE events_2023 IS 'old'; GRANT SELECT ON events TO PUBLIC`);
    await clean();
  });

  test('undistributed and dropped as a whole', async () => {
    const count = 'SELECT kind, count(*)::int AS n, sum(amount)::int AS sum FROM events GROUP BY 1 ORDER BY 1';
    const before = await cluster.query(count);
    await cluster.undistributeTable('events');
    expect((await cluster.tables()).filter(({ name }) => name.startsWith('events'))).toEqual([]);
    expect((await cluster.query(count)).rows).toEqual(before.rows);
    await cluster.createDistributedTable('events', 'tenant_id', { shardCount: 3 });
    expect((await cluster.query(count)).rows).toEqual(before.rows);
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
    await cluster.query('DROP TABLE events');
    expect((await cluster.tables()).filter(({ name }) => name.startsWith('events'))).toEqual([]);
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  });
});

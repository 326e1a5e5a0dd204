import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

const functions = `
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  new.note := coalesce(new.note, '') || '|' || TG_OP || ' ' || TG_NAME || ' ' || TG_ARGV[0];
  IF new.note LIKE 'skip%' THEN RETURN NULL; END IF;
  RETURN new;
END $$;
CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP <> 'DELETE' AND new.amount > 1000 THEN RAISE EXCEPTION 'amount % is too much', new.amount USING ERRCODE = 'P0099', HINT = 'less'; END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.note LIKE 'elsewhere%' THEN new.tenant_id := new.tenant_id + 1; END IF; RETURN new; END $$`;

const tables = `
CREATE TABLE entries (tenant_id bigint, id int, amount int NOT NULL DEFAULT 1, note text, PRIMARY KEY (tenant_id, id));
CREATE TABLE parts (tenant_id bigint, entry_id int, id int, note text, PRIMARY KEY (tenant_id, entry_id, id), FOREIGN KEY (tenant_id, entry_id) REFERENCES entries ON DELETE CASCADE);
INSERT INTO entries (tenant_id, id) SELECT t, i FROM generate_series(1, 5) t, generate_series(1, 4) i;
CREATE TRIGGER b_stamp BEFORE INSERT OR UPDATE OF amount, note ON entries FOR EACH ROW WHEN (new.amount <> 0) EXECUTE FUNCTION stamp('b"\\');
CREATE TRIGGER a_stamp BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION stamp('a');
CREATE TRIGGER "Odd name" BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION stamp('never');
CREATE TRIGGER moves BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION moves();
CREATE CONSTRAINT TRIGGER judge AFTER INSERT OR UPDATE OR DELETE ON entries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION judge();
CREATE TRIGGER quiet BEFORE UPDATE ON entries FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE entries DISABLE TRIGGER "Odd name"; ALTER TABLE entries ENABLE ALWAYS TRIGGER a_stamp;
COMMENT ON TRIGGER quiet ON entries IS 'no news';
CREATE TRIGGER parts_stamp BEFORE INSERT OR UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION stamp('p')`;

const items = `INSERT INTO parts VALUES (1, 1, 1, 'x'), (2, 1, 1, 'y'), (3, 2, 1, NULL)`;

/** Run on both, in order; rows or errors must agree. */
const steps = [
  'SELECT * FROM entries', 'SELECT * FROM parts',
  'INSERT INTO entries (tenant_id, id) VALUES (7, 1) RETURNING *', 'INSERT INTO entries (tenant_id, id, note) VALUES (7, 2, NULL), (8, 1, $$x$$), (9, 1, $$skip$$), (9, 2, $$y$$) RETURNING id, note',
  'INSERT INTO entries (tenant_id, id, amount) VALUES (7, 3, 5000)', 'INSERT INTO entries (tenant_id, id, amount) VALUES (7, 3, 5000), (8, 3, 1)',
  'UPDATE entries SET amount = amount + 1 RETURNING tenant_id, id, note', 'UPDATE entries SET amount = amount', 'UPDATE entries SET amount = 2000 WHERE tenant_id = 2', 'UPDATE entries SET amount = 0 WHERE tenant_id = 3 RETURNING note',
  'INSERT INTO entries (tenant_id, id) SELECT tenant_id + 20, id FROM entries WHERE id < 3', 'INSERT INTO entries (tenant_id, id, note) VALUES (7, 1, $$again$$) ON CONFLICT (tenant_id, id) DO UPDATE SET note = excluded.note || $$!$$ RETURNING note',
  'DELETE FROM entries WHERE id = 1 RETURNING tenant_id', 'SELECT * FROM parts', 'UPDATE entries SET id = 50 WHERE tenant_id = 3 AND id = 3', 'SELECT * FROM parts',
  'MERGE INTO entries e USING (VALUES (7::bigint, 2), (30, 1)) s (t, i) ON e.tenant_id = s.t AND e.id = s.i WHEN MATCHED THEN UPDATE SET note = $$merged$$ WHEN NOT MATCHED THEN INSERT (tenant_id, id) VALUES (s.t, s.i)',
  'SELECT * FROM entries',
];

describe.each([15, 18] as const)('triggers on version %i', (major) => {
  let pair: ClusterAndPlain;
  let cluster: Cluster;
  beforeAll(async () => {
    pair = await startCluster({ major, nodes: 2 });
    cluster = pair.cluster;
    for (const { connectionString } of [pair.databases.coordinator, ...pair.databases.nodes]) await run(connectionString, functions);
    await pair.plain.query(functions);
    await Promise.all([cluster.query(tables), pair.plain.query(tables)]);
    await cluster.createDistributedTable('entries', 'tenant_id', { shardCount: 8 });
    await cluster.createDistributedTable('parts', 'tenant_id', { colocateWith: 'entries' });
    await Promise.all([cluster.query(items), pair.plain.query(items)]);
  });
  afterAll(() => pair[Symbol.asyncDispose](), 15_000);

  async function expectAlike(texts: readonly string[]): Promise<void> {
    for (const text of texts) {
      const [ours, theirs] = await Promise.all([cluster, pair.plain].map((pool) => pool.query({ text, rowMode: 'array' }).then(
        ({ rows, rowCount, command }: { rows: unknown[]; rowCount: number | null; command: string }) => ({ text, command, rowCount, rows: rows.map((row) => JSON.stringify(row)).sort() }),
        ({ code, message, hint }: { code: string; message: string; hint: string | undefined }) => ({ text, code, message, hint }),
      )));
      expect(ours).toEqual(theirs);
    }
  }

  test('rows and errors are those of one PostgreSQL', () => expectAlike(steps));

  test('shards have the triggers, and nothing else has run them', async () => {
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  });

  test('disabled without their names: the user\'s are, shells go on refusing rows, and constraints hold', async () => {
    const logs = 'CREATE TABLE logs (t bigint, note text) PARTITION BY LIST (t); CREATE TABLE logs_all PARTITION OF logs DEFAULT; CREATE TRIGGER logs_stamp BEFORE INSERT ON logs FOR EACH ROW EXECUTE FUNCTION stamp($$l$$)';
    await Promise.all([cluster.query(logs), pair.plain.query(logs)]);
    await cluster.createDistributedTable('logs', 't');
    await expectAlike(['ALTER TABLE parts DISABLE TRIGGER USER, ADD COLUMN n int', 'ALTER TABLE logs DISABLE TRIGGER ALL', 'INSERT INTO parts VALUES (1, 2, 9, $$off$$), (2, 2, 9, NULL) RETURNING note', 'INSERT INTO logs VALUES (1, $$off$$), (2, NULL) RETURNING note']);
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
    await expect(run(pair.databases.coordinator.connectionString, 'INSERT INTO logs VALUES (1)')).rejects.toMatchObject({ code: '42P01' });
    await expectAlike(['ALTER TABLE parts ENABLE TRIGGER USER', 'ALTER TABLE logs ENABLE TRIGGER ALL', 'INSERT INTO parts VALUES (3, 1, 9, $$on$$) RETURNING note', 'INSERT INTO logs VALUES (3, $$on$$) RETURNING note', 'ALTER TABLE logs_all DISABLE TRIGGER nothing']);
    for (const table of ['parts', 'entries']) await expect(cluster.query(`ALTER TABLE ${table} DISABLE TRIGGER ALL`)).rejects.toMatchObject({ id: 'unsupportedDdl', table });
    await expect(cluster.query('ALTER TABLE parts DISABLE TRIGGER shardwright_shell')).rejects.toMatchObject({ id: 'unsupportedDdl', message: expect.stringContaining('must stay') as string });
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
    await Promise.all([cluster, pair.plain].map((pool) => pool.query('DROP TABLE logs; DELETE FROM parts WHERE id = 9; ALTER TABLE parts DROP n')));
  });

  test('COPY runs them', async () => {
    await cluster.copyFrom('COPY entries (tenant_id, id) FROM STDIN', '40\t1\n41\t1\n');
    expect((await cluster.query('SELECT DISTINCT note FROM entries WHERE tenant_id >= 40')).rows).toEqual([{ note: '|INSERT a_stamp a|INSERT b_stamp b"\\' }]);
  });

  test('a row that a trigger sends to another shard is refused', async () => {
    const moved = await cluster.query(`INSERT INTO entries (tenant_id, id, note) SELECT t, 1, 'elsewhere' FROM generate_series(100, 130) t`).catch((error: unknown) => error);
    expect(moved).toMatchObject({ code: '23514' });
    await expect(cluster.query('UPDATE entries SET tenant_id = 99 WHERE id = 2')).rejects.toMatchObject({ id: 'unsupportedWrite', detail: expect.stringContaining('triggers') as string });
  });

  test('undistributed, it is as it was: rows that come back are no news to triggers', async () => {
    await cluster.query(`CREATE TABLE solo (k int PRIMARY KEY, note text); INSERT INTO solo VALUES (1, 'a'), (2, 'skip'); CREATE TABLE above (k int REFERENCES solo);
      CREATE TRIGGER solo_stamp BEFORE INSERT OR DELETE ON solo FOR EACH ROW EXECUTE FUNCTION stamp('s'); ALTER TABLE solo ENABLE REPLICA TRIGGER solo_stamp; ALTER TABLE solo ENABLE TRIGGER solo_stamp`);
    const rows = async (): Promise<unknown> => (await cluster.query({ text: 'SELECT * FROM solo ORDER BY k', rowMode: 'array' })).rows;
    const before = [[1, 'a'], [2, 'skip']];
    await cluster.createDistributedTable('solo', 'k');
    expect(await rows()).toEqual(before);
    await cluster.undistributeTable('solo');
    expect(await rows()).toEqual(before);
    expect((await cluster.query(`SELECT tgenabled FROM pg_trigger WHERE tgname = 'solo_stamp'`)).rows).toEqual([{ tgenabled: 'O' }]);
  });
});

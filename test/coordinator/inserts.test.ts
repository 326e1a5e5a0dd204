import { Client } from 'pg';
import { expect, test } from 'vitest';
import { startCluster } from './start-cluster.ts';

const insertOrder = { name: 'insert-order', text: 'INSERT INTO orders (tenant_id, id, note) VALUES ($1, $2, $3) RETURNING note' };

test('inserts of one row side by side: each has its own result', async () => {
  await using both = await startCluster();
  const inserts = Array.from({ length: 300 }, (_, i) => ({ ...insertOrder, values: [i % 40, 100 + (i === 250 ? 210 : i), `note ${i}`] }));
  for (const side of [both.cluster, both.plain]) {
    const settled = await Promise.allSettled(inserts.map((insert) => side.query<{ note: string }>(insert)));
    const notes = settled.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value.rows : (outcome.reason as { code: string }).code));
    const refused = notes.findIndex((note) => note === '23505');
    expect([210, 250]).toContain(refused);
    expect(notes).toEqual(inserts.map(({ values }, i) => (i === refused ? '23505' : [{ note: values[2] }])));
  }
});

test('an INSERT that calls a function is run once, whatever becomes of its neighbours', async () => {
  await using both = await startCluster();
  const servers = [both.databases.coordinator, ...both.databases.nodes].map(({ connectionString }) => new Client(connectionString));
  await Promise.all(servers.map((server) => server.connect()));
  for (const server of servers) await server.query('CREATE SEQUENCE calls; CREATE FUNCTION called() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT nextval(\'calls\')::text $$');
  const insert = (id: number) => both.cluster.query('INSERT INTO orders (tenant_id, id, note) VALUES ($1, $2, called())', [1, id]);
  const settled = await Promise.allSettled([100, 101, 102, 1, 103, 104].map(insert));
  expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  const counts = await Promise.all(servers.map((server) => server.query<{ n: number }>("SELECT coalesce(pg_sequence_last_value('calls'), 0)::int AS n")));
  expect(counts.reduce((sum, { rows }) => sum + (rows[0]?.n ?? 0), 0)).toBe(6);
  await Promise.all(servers.map((server) => server.end()));
});

test('many rows, again and again: nodes keep the statements prepared, whatever the number of rows', async () => {
  await using both = await startCluster();
  for (let run = 0; run < 8; run += 1) {
    const rows = Array.from({ length: 20 + run }, (_, i) => [i, 1000 + run, `note ${i}`]);
    const text = `INSERT INTO orders (tenant_id, id, note) VALUES ${rows.map((_, i) => `($${i * 3 + 1}, $${i * 3 + 2}, $${i * 3 + 3})`).join(', ')}`;
    for (const side of [both.cluster, both.plain]) expect((await side.query(text, rows.flat())).rowCount).toBe(rows.length);
  }
  const read = 'SELECT * FROM orders ORDER BY tenant_id, id';
  expect((await both.cluster.query(read)).rows).toEqual((await both.plain.query(read)).rows);
});

const bodies = ['plain', 'a "quoted" \\ back', '{x,y}', 'NULL', 'null', '', ' ', 'ü🐘\n', null, undefined, 5, { a: '"' }, new Date(0), Buffer.from('raw'), { toPostgres: () => Buffer.from('made') }];

test('rows as arrays: values arrive as they would by VALUES, and a default has one value in a statement', async () => {
  await using both = await startCluster();
  const create = "CREATE TABLE stamped (tenant_id bigint, id int, body text, short varchar(3), at timestamptz DEFAULT clock_timestamp() - interval '1 h', now timestamptz DEFAULT now(), PRIMARY KEY (tenant_id, id))";
  for (const side of [both.cluster, both.plain]) await side.query(create);
  await both.cluster.createDistributedTable('stamped', 'tenant_id');
  const text = 'INSERT INTO stamped (tenant_id, id, body) VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9)';
  for (const [i, body] of bodies.entries()) {
    for (const other of [3, 4]) {
      const values = [3, i * 10 + other, body, other, i * 10 + other + 2, body, 3, i * 10 + other + 4, 'x'];
      for (const side of [both.cluster, both.plain]) expect((await side.query(text, values)).rowCount).toBe(3);
    }
  }
  const long = 'INSERT INTO stamped (tenant_id, id, short) VALUES ($1, $2, $3), ($4, $5, $6)';
  for (const side of [both.cluster, both.plain]) {
    await expect(side.query(long, [3, 1000, 'abc', 3, 1001, 'abcd'])).rejects.toMatchObject({ code: '22001', message: 'value too long for type character varying(3)' });
    await expect(side.query(long, [3, 1000, 'abc', 3, 'x', 'abc'])).rejects.toMatchObject({ code: '22P02', message: 'invalid input syntax for type integer: "x"' });
  }
  const reads = [
    'SELECT tenant_id, id, body FROM stamped ORDER BY tenant_id, id',
    'SELECT count(DISTINCT now)::int AS moments, count(now)::int AS nows, count(at)::int AS ats FROM stamped',
    'SELECT count(DISTINCT at) > 80 FROM stamped',
  ];
  for (const read of reads) expect((await both.cluster.query(read)).rows).toEqual((await both.plain.query(read)).rows);
});

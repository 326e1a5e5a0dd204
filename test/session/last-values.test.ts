import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { Cluster } from '../../src/index.ts';
import { PoolScope } from '../../src/session/pool-scope.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { compareSteps, type Step, step } from './compare-steps.ts';

let pair: ClusterAndPlain;

const tables = `
CREATE TABLE parents (tenant_id bigint, id bigserial, note text, PRIMARY KEY (tenant_id, id));
CREATE TABLE children (tenant_id bigint, parent_id bigint, id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT now(), PRIMARY KEY (tenant_id, id));
CREATE TABLE keyed (id bigserial PRIMARY KEY, note text);
CREATE TABLE twice (tenant_id bigint, first bigserial, second serial);
CREATE TABLE ruled (tenant_id bigint, first bigserial, id bigint GENERATED ALWAYS AS IDENTITY);
CREATE TABLE rough (tenant_id bigint, n real);
CREATE TABLE brief (tenant_id bigint, id serial);
CREATE TABLE kinds (id serial PRIMARY KEY, name text);
CREATE TABLE logs (id serial PRIMARY KEY, note text);
CREATE TABLE quiet (id int, note text);
CREATE SEQUENCE free_seq START 1000;
CREATE FUNCTION take_free() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('free_seq') $$;
CREATE FUNCTION take_parent() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('parents_id_seq'); END $$;
CREATE FUNCTION log_taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('parents_id_seq'); RETURN NEW; END $$;
CREATE TABLE mirrors (id bigint DEFAULT nextval('parents_id_seq'), note text);
CREATE TABLE watched (id int);
CREATE TRIGGER log_taken BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION log_taken();
CREATE TABLE emptied (id int);
CREATE TRIGGER log_taken BEFORE TRUNCATE ON emptied EXECUTE FUNCTION log_taken();
CREATE TABLE chosen (id int PRIMARY KEY); CREATE TABLE choosers (of bigint REFERENCES chosen ON DELETE SET DEFAULT DEFAULT nextval('parents_id_seq') * 0 + 2);
CREATE VIEW taking AS SELECT nextval('parents_id_seq') AS n`;

beforeAll(async () => {
  pair = await startCluster();
  for (const pool of [pair.cluster, pair.plain]) await pool.query(tables);
  await pair.cluster.createDistributedTable('parents', 'tenant_id', { shardCount: 4 });
  await pair.cluster.createDistributedTable('children', 'tenant_id', { colocateWith: 'parents' });
  await pair.cluster.createDistributedTable('keyed', 'id', { shardCount: 4 });
  await pair.cluster.createDistributedTable('twice', 'tenant_id', { shardCount: 4 });
  await pair.cluster.createDistributedTable('ruled', 'tenant_id', { shardCount: 4 });
  await pair.cluster.createDistributedTable('rough', 'tenant_id', { shardCount: 4 });
  await pair.cluster.createDistributedTable('brief', 'tenant_id', { shardCount: 4 });
  await pair.cluster.createReferenceTable('kinds');
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const parent = (tenant: number): string => `INSERT INTO parents (tenant_id, note) VALUES (${tenant}, 'x')`;
const three = `INSERT INTO parents (tenant_id) VALUES (1), (2), (3)`;
const isLast = `SELECT currval('parents_id_seq') = max(id) AS is_last FROM parents`;
const isLastOfAll = `SELECT lastval() = max(id) AS is_last FROM parents`;
const child = `INSERT INTO children (tenant_id, parent_id) VALUES (1, currval('parents_id_seq'))`;
const isChild = `SELECT count(*)::int FROM children c WHERE c.parent_id = currval('parents_id_seq') AND c.id = currval('children_id_seq')`;
const inLogs = `INSERT INTO logs (note) VALUES ('x')`;
/** The session has its connection from then on. */
const keeps = 'CREATE TEMP TABLE mine (x int)';
const takesFree = `DO $$ BEGIN PERFORM nextval('free_seq'); END $$`;
/** More statements than a session remembers. */
const manyKinds = Array.from({ length: 70 }, (_, i) => `SELECT count(*) AS c${i}, lower('x') FROM quiet`);

/** In which order columns are written, and rows take their values. */
const twiceOrders = [
  'INSERT INTO twice (second, first, tenant_id) VALUES (DEFAULT, DEFAULT, 1)', 'INSERT INTO twice (second, first, tenant_id) VALUES (DEFAULT, DEFAULT, 1), (DEFAULT, DEFAULT, 2)', 'INSERT INTO twice (second, tenant_id) VALUES (DEFAULT, 1), (DEFAULT, 2)',
  `INSERT INTO twice (second, first, tenant_id) VALUES (nextval('twice_second_seq'), nextval('twice_first_seq'), 1)`, `INSERT INTO twice (second, first, tenant_id) VALUES (nextval('twice_second_seq'), nextval('twice_first_seq'), 1), (3, 4, 2)`,
  `INSERT INTO twice (second, first, tenant_id) VALUES (DEFAULT, nextval('twice_first_seq'), 1)`, `INSERT INTO twice (tenant_id, first) VALUES (1, nextval('twice_first_seq'))`, `INSERT INTO twice (tenant_id, first, second) VALUES (1, nextval('twice_first_seq'), 7), (1, 7, DEFAULT), (1, DEFAULT, 8)`,
];

/** Each is run in a session of the cluster and in one of a plain PostgreSQL. */
const sessions: Record<string, Step[]> = {
  'the classic use': [parent(1), child, isChild, isLast, `SELECT lastval() = currval('children_id_seq') AS same`],
  'in a block': ['BEGIN', parent(2), child, isChild, isLast, 'COMMIT', isLast, 'BEGIN', parent(3), 'ROLLBACK', `SELECT currval('parents_id_seq') > max(id) AS is_later FROM parents`],
  'in one text': [`${parent(1)}; ${child}; ${isLast}`, `BEGIN; ${parent(1)}; ${child}; COMMIT; ${isLast}`],
  'several rows': [three, isLast, isLastOfAll, `INSERT INTO parents (tenant_id) SELECT generate_series(1, 20)`, isLast, `INSERT INTO parents (tenant_id) SELECT tenant_id FROM orders`, isLast, isLastOfAll, `WITH made AS (INSERT INTO parents (tenant_id) VALUES (4) RETURNING id) SELECT count(*)::int FROM made`, isLast],
  'a key that is filled by its sequence': [`INSERT INTO keyed (note) VALUES ('a')`, `SELECT note FROM keyed WHERE id = currval('keyed_id_seq')`, `UPDATE keyed SET note = 'b' WHERE id = lastval()`, `SELECT note FROM keyed WHERE id = lastval()`, `DELETE FROM keyed WHERE id = currval('keyed_id_seq')`],
  'a value of its own': [parent(1), `INSERT INTO parents (tenant_id, id) VALUES (1, 5000000) ON CONFLICT DO NOTHING`, `SELECT currval('parents_id_seq') < 5000000 AS is_given`, `DELETE FROM parents WHERE id = 5000000`],
  'a reference table': [`INSERT INTO kinds (name) VALUES ('a'), ('b')`, `SELECT currval('kinds_id_seq') = max(id) AS is_last, lastval() = max(id) AS is_last_of_all FROM kinds`],
  'two sequences': [`INSERT INTO twice (tenant_id) VALUES (1), (2)`, `SELECT currval('twice_first_seq') = max(first) AS f, currval('twice_second_seq') = max(second) AS s FROM twice`, `SELECT setval('twice_first_seq', 100000) > 0 AS set`, `INSERT INTO twice (second, first, tenant_id) VALUES (DEFAULT, DEFAULT, 1)`, 'SELECT lastval() < 100000 AS is_second', `INSERT INTO twice (tenant_id, first, second) VALUES (1, 7, DEFAULT), (1, DEFAULT, 8)`, 'SELECT lastval() > 100000 AS is_first'],
  'an insert that fails': [parent(1), `INSERT INTO keyed (note, id) VALUES ('x', 1), ('x', 1)`, isLast],
  'columns have their names': [`SELECT setval('free_seq', 5000)`, `SELECT nextval('free_seq')`, 'SELECT lastval()', 'SELECT lastval(), 1 AS one', `SELECT currval('free_seq')::int, -lastval() AS a, lastval() - 1`, 'SELECT * FROM lastval()', 'SELECT * FROM lastval() AS l', 'SELECT * FROM lastval() AS l(x)', 'SELECT l.* FROM (SELECT lastval()) AS l', 'VALUES (lastval())', 'SELECT CASE WHEN true THEN 1 ELSE lastval() END', `UPDATE quiet SET id = 1 RETURNING lastval()`, `SELECT t.tenant_id, lastval() FROM orders t WHERE tenant_id = 2 AND id = 1`, 'SELECT max(tenant_id), lastval() FROM orders'],
  'prepared, declared and explained': [parent(1), `PREPARE q AS SELECT count(*)::int FROM parents WHERE id = currval('parents_id_seq')`, 'EXECUTE q', parent(2), 'EXECUTE q', 'DEALLOCATE q', 'BEGIN', `DECLARE c CURSOR FOR SELECT currval('parents_id_seq') = max(id) AS is_last FROM parents`, 'FETCH c', 'COMMIT'],
  'named in many ways': [parent(1), `SELECT currval('public.parents_id_seq'::regclass) = max(id) AS a, currval(pg_get_serial_sequence('parents', 'id')) = max(id) AS b, pg_catalog.currval('"parents_id_seq"') = max(id) AS c FROM parents`, { text: 'SELECT currval($1) = max(id) AS a FROM parents', values: ['parents_id_seq'] }, { text: 'SELECT currval($2) IS NOT NULL AS a, $1::int AS b', values: [3, 'parents_id_seq'] }, 'SELECT currval(NULL) AS n', `SELECT currval('nothing_seq')`, `SELECT currval('parents')`, `SELECT currval(1)`],
  'nothing is known in a new session': [`SELECT currval('parents_id_seq')`, 'SELECT lastval()', child, `SELECT currval('logs_id_seq')`, 'BEGIN', `SELECT currval('parents_id_seq')`, 'SELECT 1', 'ROLLBACK', parent(1), isLast],
  'DISCARD': [parent(1), 'DISCARD SEQUENCES', `SELECT currval('parents_id_seq')`, 'SELECT lastval()', parent(1), isLast, 'DISCARD PLANS', isLast, 'DISCARD ALL', `SELECT currval('parents_id_seq')`, 'SELECT lastval()'],
  'nextval by itself': [parent(1), `SELECT setval('free_seq', 6000)`, `SELECT nextval('free_seq')`, `SELECT currval('free_seq') = lastval() AS same`, parent(1), isLast, `SELECT currval('free_seq') AS kept`],
  'nextval before the insert': [`SELECT setval('parents_id_seq', 1000000)`, `SELECT nextval('parents_id_seq')`, `INSERT INTO parents (tenant_id, id, note) VALUES (1, currval('parents_id_seq'), 'mine')`, isLast, `INSERT INTO parents (tenant_id, id, note) VALUES (1, nextval('parents_id_seq'), 'mine')`, isLast, isLastOfAll, `INSERT INTO keyed (id) VALUES (nextval('keyed_id_seq'::regclass))`, 'SELECT lastval() = max(id) AS is_last FROM keyed'],
  setval: [parent(1), `SELECT setval('parents_id_seq', 700000)`, `SELECT currval('parents_id_seq')`, 'SELECT lastval()', parent(1), `SELECT currval('parents_id_seq'), lastval()`, `SELECT setval('parents_id_seq', 800000, false)`, parent(1), `SELECT currval('parents_id_seq')`],
  'local tables beside': [inLogs, parent(1), inLogs, isLast, `SELECT * FROM quiet`, `INSERT INTO quiet SELECT 1, lower('X')`, isLast, `INSERT INTO quiet VALUES (currval('parents_id_seq'), 'last')`, `SELECT count(*)::int FROM quiet WHERE id = currval('parents_id_seq')`, `DELETE FROM quiet`],
  'a local table alone': [inLogs, `SELECT currval('logs_id_seq') = max(id) AS a, lastval() = max(id) AS b FROM logs`, `INSERT INTO logs (note) SELECT 'y' FROM generate_series(1, 3) RETURNING note`, `SELECT currval('logs_id_seq') = max(id) AS a, lastval() = max(id) AS b FROM logs`, parent(1), isLastOfAll, `SELECT currval('logs_id_seq') = max(id) AS a FROM logs`, `INSERT INTO quiet VALUES (1, 'x')`, `UPDATE logs SET note = 'z' WHERE id = currval('logs_id_seq')`, `DELETE FROM quiet`, isLast, isLastOfAll, inLogs, isLast, `SELECT currval('logs_id_seq') = lastval() AS same`, `INSERT INTO logs (id) VALUES (1), (1)`, isLast, `INSERT INTO logs (note, id) VALUES ('a', DEFAULT), ('b', 1)`, `SELECT currval('logs_id_seq') > max(id) AS is_later FROM logs`],
  'a local table with nextval before': [`SELECT setval('logs_id_seq', 2000000)`, `SELECT nextval('logs_id_seq')`, `INSERT INTO logs (id) VALUES (currval('logs_id_seq'))`, 'SELECT max(id), lastval() FROM logs', 'BEGIN', `SELECT nextval('logs_id_seq')`, `INSERT INTO logs (id) VALUES (currval('logs_id_seq'))`, 'SELECT max(id) FROM logs', `SELECT nextval('logs_id_seq'), currval('logs_id_seq'), lastval()`, 'COMMIT'],
  'TRUNCATE of tables without triggers': [parent(1), 'TRUNCATE quiet', isLast, 'TRUNCATE rough', isLast, isLastOfAll],
  'local tables in a block': ['BEGIN', inLogs, `SELECT currval('logs_id_seq') = lastval() AS same`, parent(1), isLast, isLastOfAll, inLogs, `SELECT currval('logs_id_seq') = max(id) AS same FROM logs`, isLast, 'COMMIT'],
  'a function that takes a value, in a block': ['BEGIN', parent(1), `SELECT take_parent() IS NOT NULL AS taken`, `SELECT currval('parents_id_seq') = lastval() AS same`, `SELECT currval('parents_id_seq') > max(id) AS is_later FROM parents`, `SELECT take_free() IS NOT NULL AS taken`, `SELECT currval('free_seq') = lastval() AS same`, 'COMMIT'],
  'a function that takes another, in a block': ['BEGIN', 'SELECT 1 AS one FROM logs LIMIT 0', parent(1), `SELECT take_free() IS NOT NULL AS taken`, isLast, 'COMMIT'],
  'a value of the row is a call beside, in a block': ['BEGIN', `INSERT INTO parents (tenant_id, note) VALUES (1, nextval('free_seq')::text)`, `SELECT currval('free_seq') = lastval() AS same`, isLast, 'COMMIT'],
  'functions that take none': [`INSERT INTO parents (tenant_id, note) VALUES (1, lower('X') || 'y')`, isLast, isLastOfAll, `WITH made AS (INSERT INTO parents (tenant_id) VALUES (4) RETURNING id) SELECT count(*)::int AS n, lower('X') FROM made`, isLast, `INSERT INTO twice (tenant_id, first) VALUES (1, nextval('twice_first_seq'))`, `SELECT currval('twice_first_seq') = max(first) AS f, currval('twice_second_seq') = max(second) AS s FROM twice`],
  'rows that mix nextval and DEFAULT': [`INSERT INTO parents (tenant_id, id) VALUES (1, nextval('parents_id_seq')), (2, DEFAULT)`, `SELECT currval('parents_id_seq') = id AS is_last, lastval() = id AS is_last_of_all FROM parents ORDER BY tenant_id = 2 DESC, id DESC LIMIT 1`, `INSERT INTO parents (tenant_id, id) VALUES (1, DEFAULT), (2, nextval('parents_id_seq'))`, `SELECT currval('parents_id_seq') = id AS is_last, lastval() = id AS is_last_of_all FROM parents ORDER BY tenant_id = 2 DESC, id DESC LIMIT 1`],
  'the order within a row': twiceOrders.flatMap((text) => [`SELECT setval('twice_first_seq', 100000), setval('twice_second_seq', 5)`, text, 'SELECT lastval() > 100000 AS is_first', `SELECT currval('twice_first_seq') > 100000 AS f, currval('twice_second_seq') > 5 AS s`]),
  'the order within a row with an identity': [`SELECT setval('ruled_id_seq', 5), setval('ruled_first_seq', 100000)`, `INSERT INTO ruled (tenant_id, id, first) VALUES (1, DEFAULT, DEFAULT), (2, DEFAULT, DEFAULT)`, 'SELECT lastval() > 100000 AS is_first', `INSERT INTO ruled (tenant_id, first, id) VALUES (1, DEFAULT, DEFAULT), (2, DEFAULT, DEFAULT)`, 'SELECT lastval() > 100000 AS is_first', `INSERT INTO ruled (id, tenant_id, first) VALUES (DEFAULT, 1, DEFAULT)`, 'SELECT lastval() > 100000 AS is_first', `INSERT INTO ruled (id, tenant_id, first) OVERRIDING SYSTEM VALUE VALUES (DEFAULT, 1, DEFAULT), (DEFAULT, 2, DEFAULT)`, 'SELECT lastval() > 100000 AS is_first'],
  'a sequence that is gone': [`INSERT INTO brief (tenant_id) VALUES (1)`, 'SELECT lastval()', `SELECT currval('brief_id_seq')`, 'DROP TABLE brief', 'SELECT lastval()', `SELECT currval('brief_id_seq')`],
};

test.for(Object.entries(sessions))('as one PostgreSQL: %s', ([, steps]) => compareSteps(pair, ...steps));

/** The last of each is refused, where one PostgreSQL knows. */
const refused: Record<string, { readonly steps: Step[]; readonly code: string; readonly message: RegExp }> = {
  'the sequence is that of the rows': { steps: [parent(1), `INSERT INTO parents (tenant_id, note) VALUES (1, currval('parents_id_seq')::text)`], code: '0A000', message: /cannot be distributed/ },
  'what is used last changes within the statement': { steps: [parent(1), `INSERT INTO children (tenant_id, parent_id) VALUES (1, lastval())`], code: '0A000', message: /cannot be distributed/ },
  'the same statement takes a value': { steps: [parent(1), `SELECT nextval('parents_id_seq'), currval('parents_id_seq')`], code: '0A000', message: /cannot be distributed/ },
  'the same statement calls a function that takes one': { steps: [parent(1), `SELECT take_parent(), currval('parents_id_seq')`], code: '0A000', message: /cannot be distributed/ },
  'the rows of a MERGE': { steps: [parent(1), `MERGE INTO parents p USING (SELECT 1 AS t) s ON p.tenant_id = s.t AND p.id = currval('parents_id_seq') + 100 WHEN NOT MATCHED THEN INSERT (tenant_id) VALUES (s.t)`], code: '0A000', message: /cannot be distributed/ },
  'a function ran': { steps: [parent(1), 'SELECT take_parent()', `SELECT currval('parents_id_seq')`], code: '55000', message: /currval\(\) would give is not known/ },
  'a function ran, and lastval': { steps: [parent(1), 'SELECT take_free()', 'SELECT lastval()'], code: '55000', message: /lastval\(\) would give is not known/ },
  'a function that took one before, and perhaps after': { steps: ['BEGIN', 'SELECT take_parent()', parent(1), 'SELECT take_parent()', `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'a local table in turn, and lastval': { steps: ['BEGIN', inLogs, parent(1), inLogs, 'SELECT lastval()'], code: '55000', message: /not known/ },
  'a trigger ran': { steps: [parent(1), 'INSERT INTO watched VALUES (1)', `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'a trigger of TRUNCATE ran': { steps: [parent(1), 'TRUNCATE emptied', `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'one of a table that CASCADE may have reached': { steps: [parent(1), 'TRUNCATE quiet CASCADE', `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'a view took one': { steps: [parent(1), 'SELECT * FROM taking', `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'DO': { steps: [parent(1), `DO $$ BEGIN PERFORM nextval('parents_id_seq'); END $$`, `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'nextval of a name that is computed': { steps: [parent(1), `SELECT nextval(('parents' || '_id_seq')::regclass)`, `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'nextval, perhaps, of its own result': { steps: [parent(1), `SELECT 1 + nextval('parents_id_seq')`, `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'a value of the row is made of one of its sequence': { steps: [`INSERT INTO parents (tenant_id, note) VALUES (1, nextval('parents_id_seq')::text)`, `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'the same of two rows': { steps: [`INSERT INTO parents (tenant_id, note) VALUES (1, nextval('parents_id_seq')::text), (2, '-')`, `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'a value of the row is made of one of another sequence': { steps: [`INSERT INTO parents (tenant_id, note) VALUES (1, nextval('free_seq')::text)`, 'SELECT lastval()'], code: '55000', message: /not known/ },
  'the same beside a call alone': { steps: [`INSERT INTO parents (tenant_id, id, note) VALUES (1, nextval('parents_id_seq'), nextval('free_seq')::text)`, 'SELECT lastval()'], code: '55000', message: /not known/ },
  'a column rounds it': { steps: [`SELECT setval('free_seq', 30000002)`, `INSERT INTO rough VALUES (1, nextval('free_seq'))`, `SELECT currval('free_seq')`], code: '55000', message: /not known/ },
  'rows for a local table too, on a kept connection': { steps: [keeps, `WITH i AS (INSERT INTO parents (tenant_id) VALUES (1) RETURNING id) INSERT INTO logs (note) SELECT id::text FROM i`, 'SELECT lastval()'], code: '55000', message: /not known/ },
  'rows for a local table that takes of the same sequence': { steps: [keeps, `WITH i AS (INSERT INTO parents (tenant_id) VALUES (1) RETURNING id) INSERT INTO mirrors (note) SELECT id::text FROM i`, `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'setval on a kept connection before, and names mean something else': { steps: [keeps, `SELECT setval('parents_id_seq', 900000)`, 'SET search_path = public', parent(1), takesFree, `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'nextval on a kept connection before, and names mean something else': { steps: [keeps, `SELECT nextval('parents_id_seq')`, 'SET search_path = public', parent(1), takesFree, `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'a cursor that takes one behind the rows of the nodes': { steps: ['BEGIN', 'DECLARE c CURSOR FOR SELECT id FROM parents UNION ALL SELECT take_parent()', parent(1), 'FETCH ALL FROM c', `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'what took one in the block is forgotten': { steps: ['BEGIN', `SELECT nextval('parents_id_seq') AS k, 0 AS n`, ...manyKinds, parent(1), takesFree, `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'names mean something else': { steps: [parent(1), 'SELECT * FROM logs', 'SET search_path TO other, public', `SELECT currval('parents_id_seq')`], code: '55000', message: /not known/ },
  'the same statement takes a value of another, and asks of both': { steps: ['BEGIN', `SELECT nextval('parents_id_seq')`, parent(1), `SELECT currval('parents_id_seq'), nextval('free_seq'), currval('free_seq')`], code: '0A000', message: /cannot be distributed/ },
  'rows of which each names one': { steps: [parent(1), `SELECT currval(note) FROM parents`], code: '0A000', message: /cannot be distributed/ },
};

test.for(Object.entries(refused))('refused: %s', async ([, { steps, code, message }]) => {
  const client = await pair.cluster.connect();
  try {
    for (const one of steps.slice(0, -1)) expect({ one, got: await step(client, one) }).not.toHaveProperty('got.code');
    expect(await step(client, steps.at(-1) ?? '')).toMatchObject({ code, message: expect.stringMatching(message) });
  } finally {
    client.release(true);
  }
});

test('a session that was refused is told the next time', async () => {
  const client = await pair.cluster.connect();
  try {
    await step(client, parent(1));
    await step(client, 'SELECT take_parent()');
    expect(await step(client, `SELECT currval('parents_id_seq')`)).toMatchObject({ code: '55000' });
    const taken = await step(client, 'SELECT take_parent() AS n');
    expect(await step(client, `SELECT currval('parents_id_seq') AS n`)).toEqual(taken);
  } finally {
    client.release(true);
  }
});

test('sessions know of their own values alone, and keep no connections for them', async () => {
  const clients = await Promise.all(Array.from({ length: 3 }, () => pair.cluster.connect()));
  const before = held();
  try {
    const ids = await Promise.all(clients.map(async (client, i) => (await client.query(`INSERT INTO parents (tenant_id) VALUES (${i}) RETURNING id`)).rows as { id: string }[]));
    const told = await Promise.all(clients.map(async (client) => (await client.query(`SELECT currval('parents_id_seq') AS id`)).rows as { id: string }[]));
    expect(told).toEqual(ids);
    expect(new Set(ids.map(([row]) => row?.id)).size).toBe(3);
    await expect(pair.cluster.query(`SELECT currval('parents_id_seq')`)).rejects.toMatchObject({ code: '55000', message: 'currval of sequence "parents_id_seq" is not yet defined in this session' });
    expect(held()).toBe(before);
  } finally {
    for (const client of clients) client.release(true);
  }
});

test('what ran before the last value is not looked up', async () => {
  const client = await pair.cluster.connect();
  try {
    for (let i = 0; i < 12; i += 1) {
      await client.query(`CREATE TABLE beside_${i} (id serial, note text)`);
      await client.query(`INSERT INTO beside_${i} (note) VALUES ('x')`);
    }
    const lookedUp = async (asked: string): Promise<{ readonly tables: number; readonly value: unknown }> => {
      const run = vi.spyOn(PoolScope.prototype, 'run');
      try {
        const { rows } = await client.query<{ value: unknown }>(asked);
        const named = JSON.stringify(run.mock.calls.map(([, { values }]) => values));
        return { tables: new Set(named.match(/beside_\d+/g)).size, value: rows[0]?.value };
      } finally {
        run.mockRestore();
      }
    };
    expect(await lookedUp('SELECT lastval() AS value')).toEqual({ tables: 4, value: '1' });
    const { rows } = await client.query<{ id: string }>(`${parent(1)} RETURNING id`);
    expect(await lookedUp('SELECT lastval() AS value')).toEqual({ tables: 0, value: rows[0]?.id });
    expect(await lookedUp(`SELECT currval('parents_id_seq') AS value`)).toEqual({ tables: 0, value: rows[0]?.id });
    expect(await lookedUp(`SELECT currval('beside_0_id_seq') AS value`)).toEqual({ tables: 12, value: '1' });
  } finally {
    client.release(true);
  }
});

/** Connections to the coordinator database that are in use. */
function held(): number {
  const { open, idle } = Cluster.coordinatorOf(pair.cluster).pools.get(coordinatorNodeId).counts;
  return open - idle;
}

test('a foreign key that sets a default takes its value', async () => {
  await pair.cluster.query('INSERT INTO chosen VALUES (1), (2); INSERT INTO choosers VALUES (1)');
  const client = await pair.cluster.connect();
  try {
    await client.query(parent(1));
    await client.query('DELETE FROM chosen WHERE id = 1');
    for (const asked of [`SELECT currval('parents_id_seq')`, 'SELECT lastval()']) expect(await step(client, asked)).toMatchObject({ code: '55000' });
  } finally {
    client.release(true);
  }
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDistributedTable, type CreateDistributedTableOptions } from '../../src/ddl/create-distributed-table.ts';
import { createReferenceTable } from '../../src/ddl/create-reference-table.ts';
import { openTestCluster, type TestCluster } from './test-cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql(`
    CREATE COLLATION ci (provider = icu, locale = 'und', deterministic = false);
    CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE pair AS (a int, b int); CREATE DOMAIN word AS text;
    CREATE TABLE local (id int PRIMARY KEY); CREATE FUNCTION only_here() RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT count(*)::int FROM local; END; CREATE TABLE far (id bigint PRIMARY KEY); CREATE FUNCTION sees_far(int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM far WHERE id = $1)';
    CREATE TABLE near (id int, other int, PRIMARY KEY (id, other), UNIQUE (other, id)); CREATE TABLE ref (id int PRIMARY KEY);
    CREATE TABLE ref_of_local (id int REFERENCES local);
    ${functions}`);
  await createDistributedTable(cluster.context, 'far', 'id', { shardCount: 4 });
  await createDistributedTable(cluster.context, 'near', 'id', { shardCount: 4 });
  await createReferenceTable(cluster.context, 'ref');
});

afterAll(() => cluster[Symbol.asyncDispose]());

interface Refusal {
  readonly what: string;
  readonly ddl: string;
  readonly id?: string;
  readonly message: RegExp;
  readonly hint?: RegExp;
  readonly column?: string;
  readonly options?: CreateDistributedTableOptions;
}

const trigger = (name: string, when = 'BEFORE INSERT', each = 'ROW', referencing = ''): string => `CREATE TRIGGER tr ${when} ON t ${referencing} FOR EACH ${each} EXECUTE FUNCTION ${name}()`;

/** Functions that do what only a coordinator database has the means for. */
const bodies: Readonly<Record<string, string>> = {
  noop: 'BEGIN RETURN new; END',
  names_far: 'BEGIN PERFORM count(*) FROM far WHERE id = new.k; RETURN new; END',
  names_local: 'BEGIN INSERT INTO public.local VALUES (new.k); RETURN new; END',
  calls_names_local: "BEGIN IF tg_op = 'INSERT' THEN PERFORM names_local(); END IF; RETURN new; END",
  has_row: 'DECLARE r near%ROWTYPE; BEGIN RETURN new; END',
  executes: "BEGIN EXECUTE 'SELECT 1'; RETURN new; END",
  draws: "BEGIN new.k := nextval('s'); RETURN new; END",
  notifies: 'BEGIN NOTIFY hello; RETURN new; END',
  tells: "BEGIN RAISE NOTICE '%', TG_TABLE_NAME; RETURN new; END",
};
const functions = Object.entries(bodies).map(([name, body]) => `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ ${body} $$;`).join('\n');

const refusals: readonly Refusal[] = [
  { what: 'primary key without it', ddl: 'TABLE t (k int, id int PRIMARY KEY)', message: /primary key "t_pkey" does not contain/, hint: /Add "k" to the primary key/ },
  { what: 'unique constraint without it', ddl: 'TABLE t (k int, id int CONSTRAINT u UNIQUE)', message: /unique constraint "u" does not contain/ },
  { what: 'unique index without it', ddl: 'TABLE t (k int, id int); CREATE UNIQUE INDEX ui ON t (id)', message: /unique index "ui" does not contain/ },
  { what: 'unique index on an expression of it', ddl: 'TABLE t (k int); CREATE UNIQUE INDEX ui ON t (abs(k))', message: /unique index "ui"/ },
  { what: 'INCLUDE is no key', ddl: 'TABLE t (k int, id int); CREATE UNIQUE INDEX ui ON t (id) INCLUDE (k)', message: /unique index "ui"/ },
  { what: 'exclusion constraint without it', ddl: 'TABLE t (k int, r int4range, CONSTRAINT x EXCLUDE USING gist (r WITH &&))', message: /exclusion constraint "x"/ },
  { what: 'exclusion by another operator', ddl: 'TABLE t (k inet, r int4range, CONSTRAINT x EXCLUDE USING gist (k inet_ops WITH &&, r WITH &&))', message: /exclusion constraint "x"/ },
  { what: 'exclusion constraint of a partitioned table', ddl: 'TABLE t (k int, r int, CONSTRAINT x EXCLUDE USING btree (k WITH =, r WITH =)) PARTITION BY LIST (r); CREATE TABLE t_1 PARTITION OF t DEFAULT', message: /it is partitioned, and has exclusion constraint "x"/, hint: /on each partition/ },
  { what: 'foreign key to a local table', ddl: 'TABLE t (k int REFERENCES local)', message: /foreign key "t_k_fkey" refers to local table "local"/, hint: /reference table first/ },
  { what: 'foreign key to another group', ddl: 'TABLE t (k int, f bigint REFERENCES far)', message: /refers to table "far", which is not co-located/, hint: /colocateWith "far"/ },
  { what: 'foreign key off the distribution column', ddl: 'TABLE t (k int, o int, FOREIGN KEY (o, k) REFERENCES near (id, other))', message: /does not match distribution columns/, options: { colocateWith: 'near' } },
  { what: 'foreign key to itself without it', ddl: 'TABLE t (k int, id int, p int, UNIQUE (k, id), FOREIGN KEY (p, id) REFERENCES t (k, id))', message: /does not match distribution columns/ },
  { what: 'SET NULL of it', ddl: 'TABLE t (k int REFERENCES ref ON DELETE SET NULL)', message: /would change distribution column "k"/ },
  { what: 'ON UPDATE CASCADE of it', ddl: 'TABLE t (k int REFERENCES ref ON UPDATE CASCADE)', message: /would change distribution column "k"/ },
  { what: 'SET DEFAULT of a sequence', ddl: 'TABLE t (k int, s serial REFERENCES ref ON DELETE SET DEFAULT)', message: /would set "s" to a default/ },
  { what: 'rows that refer to it', ddl: 'TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE child (k int REFERENCES t); INSERT INTO child VALUES (1)', message: /rows of table "child" refer to it/, hint: /Drop the constraint/ },
  { what: 'enum', ddl: 'TABLE t (k mood)', message: /distribution column "k" is of type public.mood/ },
  { what: 'composite', ddl: 'TABLE t (k pair)', message: /is of type public.pair/ },
  { what: 'domain', ddl: 'TABLE t (k word)', message: /is of type public.word/ },
  { what: 'jsonb', ddl: 'TABLE t (k jsonb)', message: /is of type jsonb/ },
  { what: 'array', ddl: 'TABLE t (k int[])', message: /is of type integer\[\]/ },
  { what: 'nondeterministic collation', ddl: 'TABLE t (k text COLLATE ci)', message: /nondeterministic collation/ },
  { what: 'generated', ddl: 'TABLE t (a int, k int GENERATED ALWAYS AS (a + 1) STORED)', message: /distribution column "k" is generated/ },
  { what: 'inherits', ddl: 'TABLE t (k int) INHERITS (parent)', message: /it inherits from another table/ },
  { what: 'inherited', ddl: 'TABLE t (k int); CREATE TABLE child () INHERITS (t)', message: /other tables inherit from it/ },
  { what: 'partition', ddl: 'TABLE whole (k int) PARTITION BY LIST (k); CREATE TABLE t PARTITION OF whole DEFAULT', message: /it is a partition of "whole"/, hint: /Distribute "whole"/ },
  { what: 'foreign partition', ddl: "TABLE t (k int) PARTITION BY LIST (k); CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE ft PARTITION OF t DEFAULT SERVER s", message: /cannot distribute table "ft": it is a foreign table/ },
  { what: 'view', ddl: 'VIEW t AS SELECT 1 AS k', message: /it is a view/ },
  { what: 'materialized view', ddl: 'MATERIALIZED VIEW t AS SELECT 1 AS k', message: /it is a materialized view/ },
  { what: 'sequence', ddl: 'SEQUENCE t', message: /it is a sequence/ },
  { what: 'typed', ddl: 'TABLE t OF pair', message: /it is of a composite type/, column: 'a' },
  { what: 'no columns', ddl: 'TABLE t ()', message: /it has no columns/ },
  { what: 'policy that reads a local table', ddl: 'TABLE t (k int); CREATE TABLE other (k int); CREATE POLICY p ON t USING (k IN (SELECT other.k FROM other))', message: /policy "p" reads table "other"/ },
  { what: 'policy that reads a distributed table', ddl: 'TABLE t (k int); CREATE POLICY p ON t USING (EXISTS (SELECT FROM far WHERE id = k))', message: /policy "p" reads table "far"/ },
  { what: 'policy that reads its own table', ddl: 'TABLE t (k int); CREATE POLICY p ON t USING (k = (SELECT max(t2.k) FROM t t2))', message: /policy "p" reads the table itself/ },
  { what: 'policy whose function reads one', ddl: 'TABLE t (k int); CREATE POLICY p ON t USING (sees_far(k))', message: /function public.sees_far\(integer\) names table public.far/ },
  { what: 'trigger for each statement', ddl: `TABLE t (k int); ${trigger('noop', 'AFTER INSERT', 'STATEMENT')}`, message: /trigger "tr" is for each statement/ },
  { what: 'trigger with transition tables', ddl: `TABLE t (k int); ${trigger('noop', 'AFTER INSERT', 'ROW', 'REFERENCING NEW TABLE AS n')}`, message: /"tr" sees other rows/ },
  { what: 'trigger that names a distributed table', ddl: `TABLE t (k int); ${trigger('names_far')}`, message: /function public.names_far\(\) names table public.far/ },
  { what: 'trigger that names a local table through another function', ddl: `TABLE t (k int); ${trigger('calls_names_local')}`, message: /names_local\(\) names table public.local/ },
  { what: 'trigger with a variable of a table\'s type', ddl: `TABLE t (k int); ${trigger('has_row')}`, message: /has_row\(\) names table public.near/ },
  { what: 'trigger that makes its statements', ddl: `TABLE t (k int); ${trigger('executes')}`, message: /function public.executes\(\) cannot run on the nodes/ },
  { what: 'trigger that draws from a sequence', ddl: `TABLE t (k int); ${trigger('draws')}`, message: /function public.draws\(\) cannot run on the nodes/ },
  { what: 'trigger that notifies', ddl: `TABLE t (k int); ${trigger('notifies')}`, message: /function public.notifies\(\) cannot run/ },
  { what: 'trigger that tells its table', ddl: `TABLE t (k int); ${trigger('tells')}`, message: /function public.tells\(\) cannot run/, hint: /TG_ARGV/ },
  { what: 'trigger that may move rows where nothing checks that', ddl: `TABLE t (k int); ${trigger('noop')}`, message: /"tr" could move rows/, options: { hash: 'murmur3' } },
  { what: 'check of tableoid', ddl: `TABLE t (k int, CHECK (k > 0 OR tableoid::regclass::text <> 't'))`, message: /constraint "t_check" reads tableoid/ },
  { what: 'column of tableoid', ddl: 'TABLE t (k int, o oid GENERATED ALWAYS AS (tableoid) STORED)', message: /column "o" reads tableoid/ },
  { what: 'policy of tableoid', ddl: 'TABLE t (k int); CREATE POLICY p ON t USING (tableoid > 0)', message: /policy "p" reads tableoid/ },
  { what: 'rule', ddl: 'TABLE t (k int); CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING', message: /it has rules/ },
  { what: 'function that is bound to a local table', ddl: 'TABLE t (k int DEFAULT only_here())', message: /node \d .* lacks something that the table needs: function public.only_here\(\) does not exist/, hint: /Create it there/ },
  { what: 'no such column', ddl: 'TABLE t (a int)', id: 'undefinedColumn', message: /column "k" of relation "t" does not exist/ },
  { what: 'NULL in a row', ddl: 'TABLE t (k int, v int); INSERT INTO t VALUES (1, 1), (NULL, 2)', id: 'distributionValueMissing', message: /null value in column "k"/ },
  { what: 'no shards', ddl: 'TABLE t (k int)', id: 'invalidParameter', message: /shard count/, options: { shardCount: 0 } },
  { what: 'colocation by another type', ddl: 'TABLE t (k int)', id: 'invalidParameter', message: /cannot colocate with table "far"/, options: { colocateWith: 'far' } },
  { what: 'colocation with another count', ddl: 'TABLE t (k int)', id: 'invalidParameter', message: /cannot colocate/, options: { colocateWith: 'near', shardCount: 5 } },
  { what: 'colocation with a local table', ddl: 'TABLE t (k int)', id: 'notDistributed', message: /"local", which is not distributed/, options: { colocateWith: 'local' } },
  { what: 'colocation with nothing', ddl: 'TABLE t (k int)', id: 'undefinedTable', message: /"nowhere" does not exist/, options: { colocateWith: 'nowhere' } },
];

test.each(refusals)('refused, and nothing is changed: $what', async ({ ddl, id = 'unsupportedTable', message, hint, column = 'k', options }) => {
  await cluster.sql(`CREATE TABLE IF NOT EXISTS parent (k int); DROP SCHEMA IF EXISTS trial CASCADE; CREATE SCHEMA trial; SET search_path = trial, public; CREATE ${ddl}`);
  const before = await footprint();
  const attempt = createDistributedTable({ ...cluster.context, searchPath: ['trial', 'public'] }, 't', column, options);
  const fields = hint === undefined ? {} : { hint: expect.stringMatching(hint) };
  await expect(attempt).rejects.toMatchObject({ id, message: expect.stringMatching(message), ...fields });
  expect(await footprint()).toEqual(before);
});

/** What a change of the catalog would leave on any server; ids of sequences do not count. */
async function footprint(): Promise<unknown[]> {
  const relations = `SELECT relname, reltuples FROM pg_class WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    AND relkind IN ('r', 'i') AND relname !~ 'pg_toast' ORDER BY oid`;
  return [
    await cluster.sql(relations),
    await cluster.onNode(0, relations),
    await cluster.onNode(1, relations),
    (await cluster.snapshot()).version,
    await cluster.sql(`SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()`),
  ];
}

test.each([
  ['ref_of_local', 'unsupportedTable', /refers to local table "local"/],
  ['near', 'alreadyDistributed', /table "near" is distributed already/],
  ['ref', 'alreadyDistributed', /table "ref" is a reference table already/],
  ['nowhere', 'undefinedTable', /relation "nowhere" does not exist/],
  ['pg_catalog.pg_class', 'unsupportedTable', /it is a system catalog/],
  ['shardwright.node', 'unsupportedTable', /it is a system catalog/],
] as const)('no reference table: %s', async (table, id, message) => {
  await expect(createReferenceTable(cluster.context, table)).rejects.toMatchObject({ id, message: expect.stringMatching(message) });
});

test.each([
  ['partitions', 'CREATE TABLE public.kept (k int) PARTITION BY LIST (k)', /it is partitioned/],
  ['triggers for each statement', `CREATE TABLE public.kept (k int); CREATE TRIGGER tr BEFORE INSERT ON public.kept EXECUTE FUNCTION public.noop()`, /trigger "tr" is for each statement/],
  ['policies that look at the clock', 'CREATE TABLE public.kept (k timestamptz); CREATE POLICY p ON public.kept USING (k < now())', /policy "p" depends on the moment/],
  ['policies that throw dice', 'CREATE TABLE public.kept (k int); CREATE POLICY p ON public.kept USING (k < 10 * random())', /policy "p" depends on the moment/],
] as const)('no reference table has %s', async (_, ddl, message) => {
  await cluster.sql(ddl);
  await expect(createReferenceTable(cluster.context, 'public.kept')).rejects.toMatchObject({ id: 'unsupportedTable', message: expect.stringMatching(message) });
  await cluster.sql('DROP TABLE public.kept');
});

test('a reference table may not refer to a distributed one', async () => {
  await cluster.sql('CREATE TABLE public.ref_of_far (id bigint REFERENCES public.far)');
  await expect(createReferenceTable(cluster.context, 'ref_of_far')).rejects.toMatchObject({ id: 'unsupportedTable', message: expect.stringMatching(/distributed table "far"/) });
});

test('a temporary table', async () => {
  await cluster.sql('CREATE TEMPORARY TABLE fleeting (k int)');
  const [[schema]] = (await cluster.sql(`SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'fleeting'`)) as [[string]];
  await expect(createDistributedTable(cluster.context, `${schema}.fleeting`, 'k')).rejects.toMatchObject({ id: 'unsupportedTable' });
});

/** Columns that no change takes away: `mark` tells whose row it is, `v` what became of it, and `code` refers to `codes`. What changes add has names and values that tell each other: column `c7` has 'c7…', `i7` has 7. */
export const stableColumns = 'tenant bigint, id bigint, lane int, v bigint, mark text, code int DEFAULT 1';

/** Of the application; each stays what it is in name and rows, whatever it is made of. */
export const appTables = ['first', 'second', 'alone', 'shared', 'held', 'dated', 'of_tenant'] as const;
export type AppTable = (typeof appTables)[number];

/** Tables go from one to the other, so the application finds them all the same. */
export const searchPath = 'public, other, tenant_s';

/** What a table is called while a change of its name has not been taken back. */
export function renamed(table: AppTable): string {
  return `${table}_r`;
}

const key = (table: AppTable): string => (table === 'dated' ? 'PRIMARY KEY (tenant, id, day)' : 'PRIMARY KEY (tenant, id)');

/** On both sides; the schema `tenant_s` is there. */
export const tablesText = [
  'CREATE SCHEMA other; CREATE TABLE codes (code int PRIMARY KEY, name text); INSERT INTO codes SELECT i, i::text FROM generate_series(1, 5) i',
  `CREATE TYPE mood AS ENUM ('sad', 'happy')`,
  `CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$`,
  ...appTables.map((table) => `CREATE TABLE ${table === 'of_tenant' ? 'tenant_s.' : ''}${table} (${stableColumns}${table === 'dated' ? ', day int DEFAULT 1' : ''}, ${key(table)})${table === 'dated' ? ' PARTITION BY RANGE (day)' : ''}`),
  'CREATE TABLE dated_1 PARTITION OF dated FOR VALUES FROM (0) TO (50)',
].join(';\n');

/** Of no lane: they are there from the first to the last, on both sides. */
export const firstRows = appTables.map((table) => `INSERT INTO ${table} (tenant, id, lane, v, mark) SELECT t, t, 0, t, concat('0:', t, ':', t) FROM generate_series(1, 6) t`).join(';\n');

/** What makes them what they are, on the cluster alone. */
export const distributeText = [
  `SELECT create_reference_table('codes')`, `SELECT create_reference_table('shared')`, `SELECT create_distributed_table('first', 'tenant', shard_count := 4)`,
  `SELECT create_distributed_table('second', 'tenant', colocate_with := 'first')`, `SELECT create_distributed_table('alone', 'tenant', colocate_with := 'none', shard_count := 3)`,
  `SELECT create_distributed_table('dated', 'tenant', colocate_with := 'none', shard_count := 2)`,
];

/** What a row is marked with. */
export function markOf(lane: number, tenant: number | string, id: number | string): string {
  return `${lane}:${tenant}:${id}`;
}

import type { Random } from '../../oracle/random.ts';
import type { ColumnState, SchemaState, TableState } from './read-schema.ts';
import { type AppTable, appTables } from './schema-tables.ts';

/** Statements that change definitions. */
export interface Change {
  readonly texts: readonly string[];
  /** In one transaction block, as migration tools run them. */
  readonly inBlock: boolean;
  /** Only the cluster knows what they mean. */
  readonly ofCluster: boolean;
}

/** What the cluster makes of a table of the application. */
export type TableKind = 'distributed' | 'reference' | 'local' | 'in_schema';

export interface Known {
  readonly state: SchemaState;
  readonly kinds: ReadonlyMap<string, TableKind>;
  /** Whether `first` has a unique lookup. */
  readonly hasLookup: boolean;
  /** For new names. */
  readonly number: number;
}

/** One that has a meaning in this state, mostly; some fail, on one PostgreSQL as well. */
export function randomChange(random: Random, known: Known): Change {
  const choice = random.weighted([[12, 'block'], [4, 'alone'], [2, 'conversion']] as const);
  if (choice === 'conversion') return { texts: [conversion(random, known)], inBlock: false, ofCluster: true };
  if (choice === 'alone') return { texts: [outsideOfBlocks(random, known)], inBlock: false, ofCluster: false };
  const texts = Array.from({ length: random.weighted([[6, 1], [2, 2], [1, 4]]) }, (_, i) => inBlocks(random, { ...known, number: known.number * 10 + i }));
  return { texts, inBlock: true, ofCluster: false };
}

const quoted = ({ schema, name }: TableState): string => `${schema}.${name}`;

function tableFor(random: Random, { state }: Known): TableState {
  const tables = state.tables.filter(({ name, isPartition }) => !isPartition && appTables.some((table) => name.startsWith(table)) && !name.startsWith('dated_'));
  return random.pick(tables);
}

/** Columns that changes have added. */
function added({ columns }: TableState): ColumnState[] {
  return columns.filter(({ name }) => /^[cignm]\d/.test(name));
}

function inBlocks(random: Random, known: Known): string {
  const table = tableFor(random, known);
  const name = quoted(table);
  const n = known.number;
  const columns = added(table);
  const some = columns.length > 0;
  const texts = columns.filter((column) => column.name.startsWith('c'));
  const { indexes, constraints, triggers, policies } = table;
  const renamed = known.state.tables.find((one) => one.name.endsWith('_r'));
  const makers: (readonly [number, () => string])[] = [
    [columns.length > 8 ? 1 : 8, () => `ALTER TABLE ${name} ADD COLUMN ${newColumn(random, n)}`],
    [some ? columns.length : 0, () => `ALTER TABLE ${name} DROP COLUMN ${random.pick(columns).name}${random.chance(0.2) ? ' CASCADE' : ''}`],
    [some ? 4 : 0, () => { const { name: from } = random.pick(columns); return `ALTER TABLE ${name} RENAME COLUMN ${from} TO ${/^[a-z]\d+/.exec(from)?.[0]}_${n}`; }],
    [3, () => `ALTER TABLE ${name} ALTER COLUMN v TYPE ${random.pick(['bigint', 'numeric', 'int', 'bigint USING v + 0'])}`],
    [texts.length > 0 ? 2 : 0, () => `ALTER TABLE ${name} ALTER COLUMN ${random.pick(texts).name} TYPE ${random.pick(['text', 'varchar(40)', 'varchar(50)'])}`],
    [texts.length > 0 ? 3 : 0, () => { const { name: column, isNullable } = random.pick(texts); return `ALTER TABLE ${name} ALTER COLUMN ${column} ${isNullable && random.chance(0.5) ? 'DROP DEFAULT' : `SET DEFAULT '${/^c\d+/.exec(column)?.[0]} again'`}`; }],
    [2, () => `ALTER TABLE ${name} ALTER COLUMN ${random.pick(['lane', 'mark', 'v'])} ${random.pick(['SET', 'DROP'])} NOT NULL`],
    [3, () => `CREATE ${random.chance(0.3) ? 'UNIQUE ' : ''}INDEX ix_${n} ON ${name} (tenant, id${table.name.startsWith('dated') ? ', day' : ''}, ${random.pick(['v', 'mark', 'lane', ...columns.map((column) => column.name)])})`],
    [indexes.length, () => `DROP INDEX ${table.schema}.${random.pick(indexes)}`],
    [indexes.length > 0 ? 1 : 0, () => `ALTER INDEX ${table.schema}.${random.pick(indexes)} RENAME TO ix_${n}`],
    [2, () => `ALTER TABLE ${name} ADD CONSTRAINT ck_${n} CHECK (${random.pick(['v >= 0', 'lane >= 0', `mark LIKE '%:%'`])})${random.chance(0.5) ? ' NOT VALID' : ''}`],
    [1, () => `ALTER TABLE ${name} ADD CONSTRAINT wrong_${n} CHECK (v < 0)`],
    [2, () => `ALTER TABLE ${name} ADD CONSTRAINT fk_${n} FOREIGN KEY (code) REFERENCES codes${random.pick(['', ' NOT VALID', ' ON DELETE SET NULL'])}`],
    [1, () => `ALTER TABLE second ADD CONSTRAINT ff_${n} FOREIGN KEY (tenant, code) REFERENCES first (tenant, id) NOT VALID`],
    [constraints.length + (constraints.some((one) => one.name.startsWith('ff')) ? 9 : 0), () => `ALTER TABLE ${name} DROP CONSTRAINT ${random.pick(constraints).name}`],
    [constraints.some(({ isValid }) => !isValid) ? 2 : 0, () => `ALTER TABLE ${name} VALIDATE CONSTRAINT ${random.pick(constraints.filter(({ isValid }) => !isValid)).name}`],
    [constraints.length > 0 ? 1 : 0, () => `ALTER TABLE ${name} RENAME CONSTRAINT ${random.pick(constraints).name} TO ck_${n}`],
    [1, () => `CREATE OR REPLACE VIEW view_${table.name.replace('_r', '')} AS SELECT * FROM ${name}`],
    [known.state.views.length, () => `DROP VIEW ${random.pick(known.state.views)}`],
    [1, () => `CREATE TRIGGER tg_${n} BEFORE UPDATE ON ${name} FOR EACH ROW EXECUTE FUNCTION keep()`],
    [triggers.length, () => { const { name: trigger, isEnabled } = random.pick(triggers); return random.pick([`DROP TRIGGER ${trigger} ON ${name}`, `ALTER TABLE ${name} ${isEnabled ? 'DISABLE' : 'ENABLE'} TRIGGER ${trigger}`]); }],
    [1, () => `CREATE POLICY pl_${n} ON ${name} USING (lane >= 0); ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`],
    [policies.length, () => `DROP POLICY ${random.pick(policies)} ON ${name}`],
    [renamed === undefined ? 1 : 0, () => `ALTER TABLE ${name} RENAME TO ${table.name}_r`],
    [renamed === undefined ? 0 : 12, () => `ALTER TABLE ${renamed?.schema}.${renamed?.name} RENAME TO ${renamed?.name.replace('_r', '')}`],
    [table.schema === 'tenant_s' || table.name === 'dated' ? 0 : 2, () => `ALTER TABLE ${name} SET SCHEMA ${table.schema === 'public' ? 'other' : 'public'}`],
    [known.state.moods < 30 ? 1 : 0, () => `ALTER TYPE mood ADD VALUE 'm${n}'`],
    [2, () => partitions(random, known)],
    [1, () => `ALTER TABLE ${name} DROP CONSTRAINT ${table.name.replace('_r', '')}_pkey, ADD CONSTRAINT ${table.name.replace('_r', '')}_pkey PRIMARY KEY (${random.pick(['tenant, id', 'id, tenant'])}${table.name.startsWith('dated') ? ', day' : ''})`],
    [1, () => random.pick([`COMMENT ON TABLE ${name} IS 'no. ${n}'`, `ALTER TABLE ${name} SET (fillfactor = ${random.int(50, 100)})`, `ALTER TABLE ${name} REPLICA IDENTITY ${random.pick(['FULL', 'DEFAULT'])}`, `ALTER TABLE ${name} ALTER mark SET STATISTICS 50`, `GRANT SELECT ON ${name} TO PUBLIC`])],
    [1, () => `CREATE TABLE other.side_${n} (k bigint PRIMARY KEY, a text); INSERT INTO other.side_${n} SELECT i, 'c' || i FROM generate_series(1, 9) i; ALTER TABLE other.side_${n} ADD b text DEFAULT 'b'`],
    [known.state.tables.some(({ name: one }) => one.startsWith('side_')) ? 2 : 0, () => `DROP TABLE other.${random.pick(known.state.tables.filter(({ name: one }) => one.startsWith('side_'))).name}`],
  ];
  return random.weighted(makers)();
}

function newColumn(random: Random, n: number): string {
  return random.pick([`c${n} text DEFAULT 'c${n}'`, `c${n} varchar(40) NOT NULL DEFAULT 'c${n}'`, `c${n} text`, `i${n} int DEFAULT ${n}`, `c${n} text GENERATED ALWAYS AS ('c${n}' || ' made') STORED`, `m${n} mood DEFAULT 'sad'`,
    `n${n} serial`, `i${n} bigint NOT NULL DEFAULT ${n} CHECK (i${n} > 0)`]);
}

/** Of days that nobody writes. */
function partitions(random: Random, { state, number }: Known): string {
  const further = state.tables.filter(({ name }) => /^dated_\d{2,}/.test(name));
  if (further.length === 0 || (further.length < 4 && random.chance(0.5))) return `CREATE TABLE dated_${number} PARTITION OF dated FOR VALUES FROM (${number * 10}) TO (${number * 10 + 5})`;
  const { name, isPartition } = random.pick(further);
  const from = Number(name.slice(6)) * 10;
  if (random.chance(0.3)) return `DROP TABLE ${name}`;
  return isPartition ? `ALTER TABLE dated DETACH PARTITION ${name}` : `ALTER TABLE dated ATTACH PARTITION ${name} FOR VALUES FROM (${from}) TO (${from + 5})`;
}

function outsideOfBlocks(random: Random, known: Known): string {
  const table = tableFor(random, known);
  if (table.name.startsWith('dated')) return 'VACUUM dated';
  const { indexes } = table;
  return random.weighted([
    [3, `CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_${known.number} ON ${quoted(table)} (${random.pick(['mark', 'v', 'lane'])})`],
    [indexes.length > 0 ? 2 : 0, `DROP INDEX CONCURRENTLY IF EXISTS ${table.schema}.${indexes.length > 0 ? random.pick(indexes) : ''}`],
    [1, `REINDEX TABLE ${quoted(table)}`], [1, `VACUUM ANALYZE ${quoted(table)}`],
  ]);
}

const column = `'tenant'`;

/** From what a table is to something else, if it may be. */
function conversion(random: Random, { kinds, state, hasLookup }: Known): string {
  const nameOf = (table: AppTable): string => state.tables.find(({ name }) => name === table || name === `${table}_r`)?.name ?? table;
  const called = (table: AppTable): string => `'${nameOf(table)}'`;
  const kindOf = (table: AppTable): TableKind => kinds.get(nameOf(table)) ?? 'local';
  const table = random.pick(['first', 'alone', 'alone', 'shared', 'held', 'held'] as const);
  if (table === 'first' && random.chance(0.4)) return hasLookup ? `SELECT drop_unique_lookup(${called('first')}, 'mark')` : `SELECT create_unique_lookup(${called('first')}, 'mark')`;
  if (table === 'first') return `SELECT alter_distributed_table(${called('first')}, shard_count := ${random.int(2, 6)}, cascade_to_colocated := true)`;
  switch (kindOf(table)) {
    case 'distributed':
      return random.chance(0.5) ? `SELECT alter_distributed_table(${called(table)}, shard_count := ${random.int(1, 5)})` : `SELECT undistribute_table(${called(table)})`;
    case 'reference':
      return `SELECT undistribute_table(${called(table)})`;
    case 'local':
    case 'in_schema':
      return random.pick([`SELECT create_reference_table(${called(table)})`, `SELECT create_distributed_table(${called(table)}, ${column}, colocate_with := 'none', shard_count := ${random.int(1, 4)})`,
        `SELECT create_distributed_table_concurrently(${called(table)}, ${column}, colocate_with := 'none', shard_count := 3)`]);
  }
}

import { at } from '../base/assert.ts';
import { LruMap } from '../base/lru.ts';
import type { RawRow, StatementShape } from '../cluster/node-connection.ts';
import type { ColumnCollation, Describe, DescribedColumn, FunctionFacts, StatementDescription } from '../plan/describe.ts';

/** What describing needs of the coordinator database: shared connections, or those of a transaction that made tables. */
export interface DescribeConnection {
  describe(text: string): Promise<StatementShape>;
  /** Where an error would be one of a transaction: as `describe`, and it goes on. */
  attempt?(text: string): Promise<StatementShape>;
  query(query: { readonly text: string; readonly values?: readonly unknown[] }): Promise<{ readonly rows: readonly RawRow[] }>;
}

/** What is known of types, by OID and modifier; and of functions by name. Shared by all statements of a process. */
export class DescribeMemory {
  readonly types = new LruMap<string, string>(10_000);
  readonly functions = new LruMap<string, FunctionFacts>(10_000);
}

const builtinTypeNames: Readonly<Record<number, string>> = {
  16: 'bool', 17: 'bytea', 20: 'int8', 21: 'int2', 23: 'int4', 25: 'text', 26: 'oid', 114: 'json', 700: 'float4', 701: 'float8',
  1082: 'date', 2950: 'uuid', 3802: 'jsonb',
};

/** OIDs of types that have a collation, PostgreSQL's own. */
const collatable: ReadonlySet<number> = new Set([19, 25, 1042, 1043, 1003, 1009, 1014, 1015]);

/** Describes statements on the coordinator database, whose shells have the tables' own definitions. */
export class Describer implements Describe {
  constructor(
    private readonly connection: DescribeConnection,
    private readonly memory: DescribeMemory,
    private readonly defaultCollationIsC: boolean,
  ) {}

  async statement(sql: string, options: { readonly collations?: boolean } = {}): Promise<StatementDescription> {
    return this.#described(sql, await this.connection.describe(sql), options);
  }

  async attempt(sql: string): Promise<StatementDescription> {
    const { connection } = this;
    return this.#described(sql, await (connection.attempt === undefined ? connection.describe(sql) : connection.attempt(sql)), {});
  }

  async #described(sql: string, { parameterTypes, fields }: StatementShape, options: { readonly collations?: boolean }): Promise<StatementDescription> {
    const columns = fields.map((field) => ({ oid: field.dataTypeID, modifier: field.dataTypeModifier }));
    const names = await this.#typeNames([...columns, ...parameterTypes.map((oid) => ({ oid, modifier: -1 }))]);
    const described = fields.map((field, i): DescribedColumn => ({
      name: field.name,
      typeOid: field.dataTypeID,
      modifier: field.dataTypeModifier,
      size: field.dataTypeSize,
      typeSql: at(names, i),
      tableOid: field.tableID,
      columnNumber: field.columnID,
      collation: undefined,
    }));
    const withCollations = options.collations === true ? await this.#collations(sql, described, parameterTypes.length) : described;
    return { parameterTypes: names.slice(fields.length), columns: withCollations };
  }

  async functions(names: readonly string[]): Promise<ReadonlyMap<string, FunctionFacts>> {
    const unknown = names.filter((name) => this.memory.functions.get(name) === undefined);
    if (unknown.length > 0) {
      for (const [name, facts] of await this.#readFunctions(unknown)) this.memory.functions.set(name, facts);
    }
    const found = new Map<string, FunctionFacts>();
    for (const name of names) {
      const facts = this.memory.functions.get(name);
      if (facts !== undefined && facts !== ownFunction) found.set(name, facts);
    }
    return found;
  }

  async relations(names: readonly string[]): Promise<ReadonlySet<string>> {
    if (names.length === 0) return new Set();
    const text = `SELECT name FROM pg_catalog.unnest($1::text[]) AS name WHERE pg_catalog.to_regclass(name) IS NOT NULL`;
    const { rows } = await this.connection.query({ text, values: [names] });
    return new Set(rows.map(([name]) => name ?? ''));
  }

  async #readFunctions(names: readonly string[]): Promise<Map<string, FunctionFacts>> {
    const text = `SELECT proname, pg_catalog.bool_or(prokind = 'a'), pg_catalog.bool_or(prokind = 'w'), pg_catalog.bool_or(proretset), pg_catalog.max(provolatile::text COLLATE "C")
      FROM pg_catalog.pg_proc WHERE proname = ANY ($1::text[]) AND pronamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN ('pg_catalog', 'shardwright')) GROUP BY proname`;
    const { rows } = await this.connection.query({ text, values: [names] });
    const facts = new Map<string, FunctionFacts>(names.map((name) => [name, ownFunction]));
    for (const [name, aggregate, window, setReturning, volatility] of rows) {
      facts.set(name ?? '', {
        aggregate: aggregate === 't', window: window === 't', setReturning: setReturning === 't',
        volatility: volatility === 'i' ? 'immutable' : volatility === 's' ? 'stable' : 'volatile',
      });
    }
    return facts;
  }

  typeNames(oids: readonly number[]): Promise<string[]> {
    return this.#typeNames(oids.map((oid) => ({ oid, modifier: -1 })));
  }

  async #typeNames(types: readonly { readonly oid: number; readonly modifier: number }[]): Promise<string[]> {
    const known = types.map(({ oid, modifier }) => (modifier === -1 ? builtinTypeNames[oid] : undefined) ?? this.memory.types.get(`${oid}/${modifier}`));
    const missing = types.filter((_, i) => known[i] === undefined);
    if (missing.length > 0) await this.#readTypeNames(missing);
    return types.map(({ oid, modifier }, i) => known[i] ?? this.memory.types.get(`${oid}/${modifier}`) ?? 'text');
  }

  /** Qualified by hand, since format_type leaves out schemas that are in the search path. */
  async #readTypeNames(types: readonly { readonly oid: number; readonly modifier: number }[]): Promise<void> {
    const text = `SELECT t.oid, x.modifier, CASE
        WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN pg_catalog.format_type(t.oid, x.modifier)
        WHEN e.oid IS NOT NULL THEN pg_catalog.format('%I.%I[]', en.nspname, e.typname)
        ELSE pg_catalog.format('%I.%I', n.nspname, t.typname) || coalesce(pg_catalog.substring(pg_catalog.format_type(t.oid, x.modifier), '\\([^)]*\\)$'), '') END
      FROM ROWS FROM (unnest($1::oid[]), unnest($2::int4[])) AS x(oid, modifier) JOIN pg_catalog.pg_type t USING (oid)
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
      LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' LEFT JOIN pg_catalog.pg_namespace en ON en.oid = e.typnamespace`;
    const { rows } = await this.connection.query({ text, values: [types.map(({ oid }) => oid), types.map(({ modifier }) => modifier)] });
    for (const [oid, modifier, name] of rows) this.memory.types.set(`${oid ?? ''}/${modifier ?? ''}`, name ?? 'text');
  }

  /** Collations are not in a description: a query over no rows tells them, without running the statement. */
  async #collations(sql: string, columns: readonly DescribedColumn[], parameters: number): Promise<DescribedColumn[]> {
    const collated = columns.map(({ typeOid }, i) => ({ i, isCollated: collatable.has(typeOid) })).filter(({ isCollated }) => isCollated);
    if (collated.length === 0) return [...columns];
    const names = columns.map((_, i) => `c${i + 1}`).join(', ');
    const list = collated.flatMap(({ i }) => {
      const name = `pg_catalog.pg_collation_for(q.c${i + 1})`;
      return [name, `(SELECT collisdeterministic FROM pg_catalog.pg_collation WHERE oid = pg_catalog.to_regcollation(${name})::oid)`];
    });
    const text = `SELECT ${list.join(', ')} FROM (SELECT) AS one LEFT JOIN (${sql}) AS q(${names}) ON false`;
    const { rows } = await this.connection.query({ text, values: Array.from({ length: parameters }, () => null) });
    const found = at(rows, 0);
    const collations = new Map(collated.map(({ i }, place) => [i, this.#collation(found[2 * place] ?? null, found[2 * place + 1] ?? null)]));
    return columns.map((column, i) => ({ ...column, collation: collations.get(i) }));
  }

  #collation(name: string | null, deterministic: string | null): ColumnCollation {
    if (name === null) return { sql: '"default"', isC: false, deterministic: false };
    const isC = name === '"C"' || name === '"POSIX"' || name === 'ucs_basic' || (name === '"default"' && this.defaultCollationIsC);
    return { sql: name, isC, deterministic: name === '"default"' || deterministic === 't' };
  }
}

/** Stands for PostgreSQL's own functions, which are known by name. */
const ownFunction: FunctionFacts = { aggregate: false, window: false, setReturning: false, volatility: 'immutable' };

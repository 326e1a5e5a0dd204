import type { ExecuteStmt, Node, PrepareStmt } from '@pgsql/types';
import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { parameterNumbers } from '../plan/shard-template.ts';
import type { ComputedPlan } from '../plan/computed/computed-plan.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { unsupported } from '../plan/select/unsupported.ts';
import { sameTree } from '../sql/ast.ts';
import { withParameterTypes } from '../sql/parameter-types.ts';
import { closeParameterGaps } from '../sql/parameters.ts';
import { parseOne, type Statement } from '../sql/parse.ts';
import { afterGroup, scanTokens } from '../sql/scan.ts';

/** A statement with the values of its parameters. */
export interface Executed {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

interface Prepared {
  readonly query: Statement;
  /** `$1`, `$2` … of `query` are these of the user's. */
  readonly numbers: readonly number[];
  /** Of the parameters, as they are written in a cast. */
  readonly types: readonly string[];
  /** A prepared statement of the coordinator database that returns its parameters, which are of the same types; made when first needed. */
  echo: string | undefined;
}

/**
 * What a session has prepared with PREPARE. The coordinator database prepares the same statement over its shells, so names, types and errors are PostgreSQL's, and
 * `pg_prepared_statements` shows it. EXECUTE has the arguments computed there, and then runs the statement as any other, with these values; one that is the coordinator database's alone runs there as it is.
 */
export class PreparedStatements {
  readonly #known = new Map<string, Prepared>();
  #last = 0;

  /** PREPARE, over the session's own connection to the coordinator database. */
  async prepare(connection: NodeConnection, statement: Statement, { name = '', argtypes = [] }: PrepareStmt, { inner, computed }: Inner): Promise<void> {
    const declared = declaredTypes(statement, argtypes.length);
    await connection.query({ text: computed === undefined ? statement.text : withoutComputed(name, computed, declared), simple: true });
    const { rows } = await connection.query({ text: typesQuery, values: [name] });
    const told = rows.map(([type]) => type ?? '');
    const types = computed === undefined ? told : typesOf(inner, { computed, declared, told });
    const { text, numbers } = closeParameterGaps(withParameterTypes(inner, types.slice(0, argtypes.length)));
    this.#known.set(name, { query: parseOne(text), numbers, types, echo: undefined });
  }

  /** The query that EXECUTE, alone or in another statement, would run. */
  queryOf(node: Node): Statement | undefined {
    return this.#known.get(executeIn(node)?.name ?? '')?.query;
  }

  async #echoOf(prepared: Prepared, connection: NodeConnection): Promise<string> {
    if (prepared.echo !== undefined) return prepared.echo;
    this.#last += 1;
    const echo = `shardwright_arguments_${this.#last}`;
    const { types } = prepared;
    const list = types.length === 0 ? '' : ` (${types.join(', ')})`;
    await connection.query({ text: `PREPARE ${echo}${list} AS SELECT ${types.map((_, i) => `$${i + 1}`).join(', ')}`, simple: true });
    prepared.echo = echo;
    return echo;
  }

  /** DEALLOCATE, of one or of all. */
  async deallocate(connection: NodeConnection, { text }: Statement, name: string | undefined): Promise<void> {
    await connection.query({ text, simple: true });
    const one = name === undefined ? undefined : this.#known.get(name);
    if (one?.echo !== undefined) await connection.query({ text: `DEALLOCATE ${one.echo}`, simple: true });
    if (name === undefined) this.forget();
    else this.#known.delete(name);
  }

  /** The session's connection has been cleared. */
  forget(): void {
    this.#known.clear();
  }

  /** What EXECUTE, alone or behind EXPLAIN, runs; undefined for any other statement, and for names that only the coordinator database can know. */
  async executed(statement: Statement, values: readonly unknown[], onCoordinator: <T>(work: (connection: NodeConnection) => Promise<T>) => Promise<T>): Promise<Executed | undefined> {
    const execute = executeIn(statement.node);
    const prepared = execute === undefined ? undefined : this.#known.get(execute.name ?? '');
    if (execute === undefined || prepared === undefined) return undefined;
    if ('CreateTableAsStmt' in statement.node) throw unsupported('CREATE TABLE AS takes its rows from a prepared statement.', 'Write the query in its place.');
    const tokens = scanTokens(statement.text);
    const start = tokens.findIndex((token) => token.text.toUpperCase() === 'EXECUTE');
    const call = { name: execute.name ?? '', text: statement.text, behindName: at(tokens, start + 1).end, values };
    const given = await onCoordinator(async (connection) => argumentsOf(connection, { ...call, echo: await this.#echoOf(prepared, connection) }));
    const before = statement.text.slice(0, at(tokens, start).start);
    return {
      statement: 'ExecuteStmt' in statement.node ? prepared.query : parseOne(`${before}${prepared.query.text}`),
      values: prepared.numbers.map((number) => given[number - 1] ?? null),
    };
  }
}

/** The statement to prepare, and its plan where the cluster computes something for it: the coordinator database prepares what is left. */
export interface Inner {
  readonly inner: Statement;
  readonly computed: ComputedPlan | undefined;
}

/** As they are written behind the name. */
function declaredTypes({ text }: Statement, count: number): readonly string[] {
  if (count === 0) return [];
  const tokens = scanTokens(text);
  const end = afterGroup(tokens, 2) - 1;
  const commas = [2];
  for (let i = 3; i < end; i += 1) {
    if (at(tokens, i).text === ',') commas.push(i);
    else if (at(tokens, i).text === '(' || at(tokens, i).text === '[') i = afterGroup(tokens, i) - 1;
  }
  return commas.map((comma, i) => text.slice(at(tokens, comma).end, at(tokens, commas[i + 1] ?? end).start).trim());
}

function withoutComputed(name: string, { statement, numbers, inputs }: ComputedPlan, declared: readonly string[]): string {
  const types = [...numbers.map((number) => declared[number - 1] ?? 'unknown'), ...inputs.map(() => 'text')];
  return `PREPARE ${quoteIdentifier(name)} (${types.join(', ')}) AS ${statement.text}`;
}

/** Of the caller's parameters; those that are arguments of the cluster's functions alone are texts. */
function typesOf({ node }: Statement, { computed, declared, told }: { readonly computed: ComputedPlan; readonly declared: readonly string[]; readonly told: readonly string[] }): string[] {
  const count = Math.max(declared.length, ...parameterNumbers(node));
  return Array.from({ length: count }, (_, i) => told[computed.numbers.indexOf(i + 1)] ?? declared[i] ?? 'text');
}

/** As they are written in a cast, wherever the search path leads. */
const typesQuery = `SELECT CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN pg_catalog.format_type(t.oid, NULL) ELSE pg_catalog.format('%I.%I', n.nspname, t.typname) END
  FROM pg_catalog.pg_prepared_statements p, pg_catalog.unnest(p.parameter_types) WITH ORDINALITY AS given(type, number)
  JOIN pg_catalog.pg_type t ON t.oid = given.type JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE p.name = $1 ORDER BY given.number`;

/** The statement behind AS, in its own text. */
export function preparedStatement({ text }: Statement, query: Node | undefined): Statement {
  const tokens = scanTokens(text);
  const as = tokens[2]?.text === '(' ? afterGroup(tokens, 2) : 2;
  const inner = parseOne(text.slice(present(tokens[as + 1], 'prepared statement').start));
  if (!sameTree(inner.node, query)) throw unsupported('The statement to prepare cannot be told from its name and types.', 'Write PREPARE name (types) AS statement.');
  return inner;
}

function executeIn(node: Node): ExecuteStmt | undefined {
  if ('ExecuteStmt' in node) return node.ExecuteStmt;
  const query = 'ExplainStmt' in node ? node.ExplainStmt.query : 'CreateTableAsStmt' in node ? node.CreateTableAsStmt.query : undefined;
  return query !== undefined && 'ExecuteStmt' in query ? query.ExecuteStmt : undefined;
}

interface ArgumentsCall {
  readonly echo: string;
  readonly name: string;
  readonly text: string;
  /** Where in the text the arguments begin. */
  readonly behindName: number;
  readonly values: readonly unknown[];
}

async function argumentsOf(connection: NodeConnection, { echo, name, text, behindName, values }: ArgumentsCall): Promise<readonly (string | null)[]> {
  const ours = `EXECUTE ${echo}`;
  try {
    const { rows } = await connection.query({ text: `${ours}${text.slice(behindName)}`, values, simple: values.length === 0 });
    return at(rows, 0);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    error.message = error.message.replaceAll(echo, name);
    if ('position' in error && typeof error.position === 'string') {
      Reflect.set(error, 'position', String(Number(error.position) - ours.length + Array.from(text.slice(0, behindName)).length));
    }
    throw error;
  }
}

/** For a text that is a session of its own. */
export function preparedForNobody(): ClusterError {
  return new ClusterError('unsupportedQuery', 'PREPARE needs a session', {
    detail: 'Each query of the pool may run in another session.', hint: 'Call connect(), or give the query a name: query({ name, text, values }).',
  });
}

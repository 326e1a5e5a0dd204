import type { FuncCall, Node } from '@pgsql/types';
import { namesSystemColumn } from '../../analyze/analyze-statement.ts';
import { at } from '../../base/assert.ts';
import { nameParts, readsOrWrites, walk } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { afterGroup, type Token } from '../../sql/scan.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import { NameCutter, type NamedUse } from '../name-cutter.ts';
import { withoutShards } from './catalog-filters.ts';
import type { ComputedInput } from './computed-plan.ts';
import { type ComputedUse, findComputed, type FindInput } from './find-computed.ts';
import { inputColumns } from './input-columns.ts';
import { aroundDefinition } from './written-definition.ts';

/** A statement in which parameters stand for what the cluster computes; see `ComputedPlan`. */
export interface RewrittenStatement {
  readonly statement: Statement;
  readonly numbers: readonly number[];
  readonly inputs: readonly ComputedInput[];
}

const mayCompute = /citus|time_partitions|shardwright_stat|pg_dist_|run_command_on|master_get_active|_size\b|column_to_column_name|get_shard_id|get_rebalance|pg_(class|namespace|proc|type|trigger|tables|views|matviews|get_viewdef|indexes|sequences|stat|statio_\w+|stats)\b|pg_stat_(user|all)|information_schema|\b(currval|lastval)\b/i;

/** Whether a text, of a definition as well, may name what the cluster computes. */
export function mayAskTheCluster(text: string): boolean {
  return mayCompute.test(text);
}

/** Whether a statement may ask for what the cluster computes: false for almost every one, which then needs no further look. */
export function asksTheCluster({ text, node }: Statement): boolean {
  return mayAskTheCluster(text) && readsOrWrites(node);
}

/**
 * The statement with Citus's views and functions as queries over parameters, sizes as those of all shards, and PostgreSQL's catalogs without the cluster's own objects; undefined when there is none of it in the
 * statement. Everything else of its text stays. `unsupportedQuery` where such a function cannot stand.
 */
export async function withComputed(statement: Statement, input: FindInput): Promise<RewrittenStatement | undefined> {
  if (!asksTheCluster(statement)) return undefined;
  const uses = await findComputed(statement, input);
  return uses.length === 0 ? undefined : new Rewriting(statement, uses).result();
}

interface CallTokens {
  /** Positions among the tokens: of the name, of the parenthesis behind it, and of that which closes it. */
  readonly first: number;
  readonly open: number;
  readonly close: number;
}

/** The edits of one statement. */
class Rewriting {
  readonly #cutter: NameCutter;
  readonly #inputs: ComputedInput[] = [];
  readonly #keys: string[] = [];
  readonly #numbers: readonly number[];
  readonly #edits: Edit<never>[] = [];

  constructor(
    private readonly statement: Statement,
    private readonly uses: readonly ComputedUse[],
  ) {
    this.#cutter = new NameCutter(statement);
    this.#numbers = [...new Set(this.#keptParameters().map(({ number }) => number))].sort((a, b) => a - b);
  }

  result(): RewrittenStatement | undefined {
    for (const use of this.uses) this.#rewrite(use);
    if (this.#edits.length === 0) return undefined;
    for (const { start, end, number } of this.#keptParameters()) this.#edits.push({ start, end, parts: [`$${this.#numbers.indexOf(number) + 1}`] });
    this.#edits.push(...this.#cutter.columnEdits(this.#named()));
    const text = fillTemplate(applyEdits<never>(this.statement.text, this.#edits), () => '');
    return { statement: parseOne(text), numbers: this.#numbers, inputs: this.#inputs };
  }

  /** Parameters that are no arguments of a call which is cut out as a whole. */
  #keptParameters(): { readonly start: number; readonly end: number; readonly number: number }[] {
    const cuts = this.uses.flatMap((use) => (use.kind === 'rows' || use.kind === 'value' || use.kind === 'current' ? [this.#extentOf(use.call)] : []));
    return this.#cutter.parameterPlaces().filter(({ start }) => !cuts.some((cut) => start >= cut.start && start < cut.end));
  }

  #named(): NamedUse[] {
    return this.uses.flatMap((use) => {
      if (use.kind === 'relation') return [{ rangeVar: use.rangeVar, schema: 'pg_catalog', name: use.name }];
      return use.kind === 'filter' ? [{ rangeVar: use.rangeVar, schema: use.schema, name: use.rangeVar.relname ?? '' }] : [];
    });
  }

  #rewrite(use: ComputedUse): void {
    switch (use.kind) {
      case 'relation': {
        const call = { kind: 'utility', name: use.name, column: use.name, arguments: new Map<string, never>() } as const;
        this.#edits.push(this.#cutter.relationEdit<never>(use.rangeVar, `(${use.relation.sql({ rows: (kind) => this.#rows({ kind }, kind, inputColumns[kind]), called: (columns) => this.#called({ kind: 'call_rows', call }, columns) })})`));
        return;
      }
      case 'filter':
        this.#filter(use);
        return;
      case 'rows':
        this.#callOfRows(use);
        return;
      case 'function':
        this.#wrap(use);
        return;
      case 'definition':
        this.#definition(use);
        return;
      case 'current':
        this.#current(use);
        return;
      case 'value': {
        const { start, end } = this.#extentOf(use.call);
        const column = quoteIdentifier(use.place.kind === 'from' ? (use.place.alias ?? use.name) : use.name);
        const value = `(SELECT $${this.#number({ kind: 'call_value', call: use.arguments })}::pg_catalog.text::pg_catalog.int8 AS ${column})`;
        this.#edits.push({ start, end, parts: [value, aliasBehind(use)] });
      }
    }
  }

  /** With the system columns that the statement names; not where `*` would show them, or a natural join compare them. */
  #filter({ rangeVar, schema, filter, hidesShards }: ComputedUse & { readonly kind: 'filter' }): void {
    const named = [...systemColumns].filter((column) => namesSystemColumn(this.statement.node, new Set([column])));
    if (named.length > 0 && showsAllColumns(this.statement.node)) return;
    const columns = [...named, ...(filter.columns ?? ['*'])].join(', ');
    const shards = hidesShards && filter.relation !== undefined ? ` AND ${withoutShards(filter.relation, this.#rows({ kind: 'shard_relations' }, 'shard_relations', inputColumns.shard_relations))}` : '';
    this.#edits.push(this.#cutter.relationEdit<never>(rangeVar, `(SELECT ${columns} FROM ${schema}.${rangeVar.relname ?? ''} WHERE ${filter.condition}${shards})`));
  }

  #callOfRows({ call, name, relation, arguments: given, place }: ComputedUse & { readonly kind: 'rows' }): void {
    const query = `(${relation.sql({ rows: (kind) => this.#rows({ kind }, kind, inputColumns[kind]), called: (columns) => this.#called({ kind: 'call_rows', call: given }, columns) })})`;
    const { start, end } = this.#extentOf(call);
    const alias = quoteIdentifier(name);
    if (place.kind === 'from') {
      this.#edits.push({ start, end, parts: place.alias === undefined ? [query, ` AS ${alias}`] : [query] });
      return;
    }
    // The rows as wholes: the name of a relation is a value of its row type.
    const behind = place.kind === 'only_target' && place.isNamed ? this.#endOfName(call) : end;
    this.#edits.push({ start, end, parts: [alias, ...(behind === end ? [` FROM ${query} AS ${alias}`] : [])] });
    if (behind !== end) this.#edits.push({ start: behind, end: behind, parts: [` FROM ${query} AS ${alias}`] });
  }

  /** `f(x, y)` → `(SELECT … FROM (SELECT x AS x, y AS y) AS a)`: each argument is computed once, where it was. */
  #wrap(use: ComputedUse & { readonly kind: 'function' }): void {
    const { call, name, computed, place } = use;
    const tokens = this.#cutter.tokens();
    const { first, open, close } = this.#tokensOf(call);
    const column = quoteIdentifier(place.kind === 'from' ? (place.alias ?? name) : name);
    const value = computed.sql({
      arguments: call.args?.length ?? 0,
      sizes: (forks) => `$${this.#number({ kind: 'relation_sizes', forks })}::pg_catalog.text::pg_catalog.jsonb`,
      nodes: () => this.#rows({ kind: 'nodes' }, 'nodes', inputColumns.nodes),
    });
    const args = call.args ?? [];
    const cast = (i: number): string => (i === 0 && computed.ofRelation === true ? literalCast(args[i]) : '');
    const behind = args.length === 0 ? ')' : `${cast(args.length - 1)} AS ${argumentNames[args.length - 1] ?? ''}) AS a)`;
    this.#edits.push({ start: at(tokens, first).start, end: at(tokens, open).end, parts: [`(SELECT ${value} AS ${column}${args.length === 0 ? '' : ' FROM (SELECT '}`] });
    for (const [i, comma] of this.#commas(open, close).entries()) {
      const { start, end } = at(tokens, comma);
      this.#edits.push({ start, end, parts: [`${cast(i)} AS ${argumentNames[i] ?? ''}, `] });
    }
    const { start, end } = at(tokens, close);
    this.#edits.push({ start, end, parts: [behind, aliasBehind(use)] });
  }

  #definition(use: ComputedUse & { readonly kind: 'definition' }): void {
    const { start, end } = this.#extentOf(use.call);
    const column = quoteIdentifier(use.place.kind === 'from' ? (use.place.alias ?? use.name) : use.name);
    this.#edits.push({ start, end: start, parts: [`(SELECT ${aroundDefinition.before}`] }, { start: end, end, parts: [`${aroundDefinition.behind} AS ${column})`, aliasBehind(use)] });
  }

  /** Its value, with the name that its column would have: a query has the name of its column. */
  #current(use: ComputedUse & { readonly kind: 'current' }): void {
    const tokens = this.#cutter.tokens();
    const { first, open, close } = this.#tokensOf(use.call);
    const sequence = close === open + 1 ? undefined : this.statement.text.slice(at(tokens, open).end, at(tokens, close).start);
    const value = `$${this.#number({ kind: 'current_value', sequence })}::pg_catalog.int8`;
    const name = use.place.kind === 'from' ? (use.place.alias ?? use.name) : use.name;
    const part = use.place.kind === 'expression' ? `(${value})` : `(SELECT ${value} AS ${quoteIdentifier(name)})`;
    this.#edits.push({ start: at(tokens, first).start, end: at(tokens, close).end, parts: [part, aliasBehind(use)] });
  }

  /** Positions of the commas between a call's arguments. */
  #commas(open: number, close: number): number[] {
    const tokens = this.#cutter.tokens();
    const found: number[] = [];
    for (let i = open + 1; i < close; i += 1) {
      const { text } = at(tokens, i);
      if (text === ',') found.push(i);
      else if (text === '(' || text === '[') i = afterGroup(tokens, i) - 1;
    }
    return found;
  }

  #rows(input: ComputedInput, alias: string, columns: string): string {
    return `pg_catalog.json_to_recordset($${this.#number(input)}::pg_catalog.text::pg_catalog.json) AS ${alias}(${columns})`;
  }

  #called(input: ComputedInput, columns: readonly string[]): string {
    return this.#rows(input, 'called', columns.map((column) => `${column} text`).join(', '));
  }

  /** One parameter for each thing that is computed, however often it is read. A call that is written twice is made twice. */
  #number(input: ComputedInput): number {
    const key = input.kind === 'call_rows' || input.kind === 'call_value' ? `call ${this.#inputs.length}` : JSON.stringify(input);
    const known = this.#keys.indexOf(key);
    if (known >= 0) return this.#numbers.length + known + 1;
    this.#keys.push(key);
    this.#inputs.push(input);
    return this.#numbers.length + this.#inputs.length;
  }

  #tokensOf({ location, funcname }: FuncCall): CallTokens {
    const tokens = this.#cutter.tokens();
    const first = this.#cutter.tokenOf(location ?? 0);
    const open = first + 2 * nameParts(funcname).length - 1;
    return { first, open, close: afterGroup(tokens, open) - 1 };
  }

  #extentOf(call: FuncCall): { readonly start: number; readonly end: number } {
    const { first, close } = this.#tokensOf(call);
    return { start: at(this.#cutter.tokens(), first).start, end: at(this.#cutter.tokens(), close).end };
  }

  /** Behind `AS name`, or `name`, which follows a call. */
  #endOfName(call: FuncCall): number {
    const tokens: readonly Token[] = this.#cutter.tokens();
    const { close } = this.#tokensOf(call);
    return at(tokens, at(tokens, close + 1).text.toUpperCase() === 'AS' ? close + 2 : close + 1).end;
  }
}

const argumentNames = ['x', 'y'] as const;
const systemColumns: ReadonlySet<string> = new Set(['tableoid', 'ctid', 'xmin', 'xmax', 'cmin', 'cmax']);

/** A relation's name as a constant: in a query of its own it would be taken for text. */
function literalCast(argument: Node | undefined): string {
  return argument !== undefined && (('A_Const' in argument && argument.A_Const.sval !== undefined) || 'ParamRef' in argument) ? '::pg_catalog.regclass' : '';
}

/** A query behind FROM has a name; a function has its own. */
function aliasBehind({ name, place }: ComputedUse & { readonly kind: 'function' | 'value' | 'current' | 'definition' }): string {
  return place.kind === 'from' && place.alias === undefined ? ` AS ${quoteIdentifier(name)}` : '';
}

/** Whether columns are asked for by `*`, other than in `count(*)`, or by NATURAL JOIN. */
function showsAllColumns(node: Node): boolean {
  let found = false;
  walk(node, (kind, body) => {
    if (kind === 'ColumnRef') found ||= ((body as { fields?: Node[] }).fields ?? []).some((field) => 'A_Star' in field);
    if (kind === 'JoinExpr') found ||= 'isNatural' in body && body.isNatural === true;
    return !found;
  });
  return found;
}

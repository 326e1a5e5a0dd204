import type { RangeVar } from '../sql/ast.ts';
import { at } from '../base/assert.ts';
import { walk } from '../sql/ast.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { Token } from '../sql/scan.ts';
import type { Extent } from '../sql/query-extent.ts';
import { afterGroup, scanTokens, tokenAt } from '../sql/scan.ts';
import type { Edit } from '../sql/template.ts';
import { schemaCuts } from './schema-cuts.ts';
import { unsupported } from './select/unsupported.ts';

/** One occurrence of a relation whose name is to be cut out, and what it is called in full. */
export interface NamedUse {
  readonly rangeVar: RangeVar;
  readonly schema: string;
  readonly name: string;
}

/** Cuts relation names out of a statement's text. What stands in their place takes the name as its alias, where the caller gave none. */
export class NameCutter {
  readonly #statement: Statement;
  #tokens: readonly Token[] | undefined;

  constructor(statement: Statement) {
    this.#statement = statement;
  }

  /** `part` in the place of a relation's name. `columns` is what TABLE selects of it. */
  relationEdit<Hole>(rangeVar: RangeVar, part: string | Hole, columns = '*'): Edit<Hole> {
    const tokens = this.tokens();
    const { first, last } = this.#named(rangeVar);
    const alias = rangeVar.alias === undefined ? [` AS ${quoteIdentifier(rangeVar.relname ?? '')}`] : [];
    const isCommand = this.#isTableCommand(first - 1);
    const start = at(tokens, isCommand ? first - 1 : first).start;
    return { start, end: at(tokens, last).end, parts: [...(isCommand ? [`SELECT ${columns} FROM `] : []), part, ...alias] };
  }

  /** The tokens of a relation's name, with ONLY before it or `*` behind. */
  #named(rangeVar: RangeVar): { readonly first: number; readonly last: number } {
    const tokens = this.tokens();
    const first = this.tokenOf(rangeVar.location ?? 0);
    const last = this.lastTokenOf(rangeVar);
    const isOnly = (token: number): boolean => tokens[token]?.text.toUpperCase() === 'ONLY';
    if (tokens[first - 1]?.text === '(' && isOnly(first - 2)) return { first: first - 2, last: last + 1 };
    if (isOnly(first - 1)) return { first: first - 1, last };
    return { first, last: tokens[last + 1]?.text === '*' ? last + 1 : last };
  }

  /** The last token of a relation's name, with what it is qualified by. */
  lastTokenOf({ location = 0, catalogname, schemaname }: RangeVar): number {
    return this.tokenOf(location) + (catalogname === undefined ? (schemaname === undefined ? 0 : 2) : 4);
  }

  /** TABLESAMPLE behind a relation, with its arguments. */
  sampleExtent(rangeVar: RangeVar): Extent {
    const tokens = this.tokens();
    let first = this.tokenOf(rangeVar.location ?? 0);
    while (at(tokens, first).text.toUpperCase() !== 'TABLESAMPLE') first = at(tokens, first).text === '(' ? afterGroup(tokens, first) : first + 1;
    const open = tokens.findIndex(({ text }, i) => i > first && text === '(');
    const end = afterGroup(tokens, open);
    const last = tokens[end]?.text.toUpperCase() === 'REPEATABLE' ? afterGroup(tokens, end + 1) : end;
    return { start: at(tokens, first).start, end: at(tokens, last - 1).end };
  }

  /** `schema.table.column` → `table.column`, for uses that have no alias. */
  columnEdits(uses: readonly NamedUse[]): Edit<never>[] {
    const cuts = schemaCuts(this.#statement, this.tokens(), (schema, table) => {
      const named = uses.some((use) => isNamed(use, schema, table));
      if (named) this.#checkOneMeaning(uses, schema, table);
      return named;
    });
    return cuts.map((cut) => ({ ...cut, parts: [] }));
  }

  /** A call, with its arguments, or a keyword that stands for a value. */
  callExtent(location: number): Extent {
    const tokens = this.tokens();
    const first = this.tokenOf(location);
    let last = first;
    while (tokens[last + 1]?.text === '.') last += 2;
    if (tokens[last + 1]?.text === '(') last = afterGroup(tokens, last + 1) - 1;
    return { start: at(tokens, first).start, end: at(tokens, last).end };
  }

  tokens(): readonly Token[] {
    this.#tokens ??= scanTokens(this.#statement.text);
    return this.#tokens;
  }

  tokenOf(location: number): number {
    return tokenAt(this.tokens(), this.#statement.source.index(location));
  }

  /** The places of parameters: their tokens' extents and numbers. */
  parameterPlaces(): { readonly start: number; readonly end: number; readonly number: number }[] {
    const places = new Map<number, number>();
    walk(this.#statement.node, (kind, body) => {
      if (kind === 'ParamRef' && 'number' in body) {
        places.set('location' in body ? Number(body.location) : 0, Number(body.number));
      }
      return undefined;
    });
    return [...places].map(([location, number]) => {
      const token = at(this.tokens(), this.tokenOf(location));
      return { start: token.start, end: token.end, number };
    });
  }

  /** Without its schema the name must still mean the same table: no other relation of the statement may bear it. */
  #checkOneMeaning(uses: readonly NamedUse[], schema: string, table: string): void {
    const same = new Set<unknown>(uses.filter((use) => isNamed(use, schema, table)).map(({ rangeVar }) => rangeVar));
    if (!bearsName(this.#statement.node, table, same)) return;
    throw unsupported(`Columns of "${schema}.${table}" are named with the schema, and another relation is called "${table}", too.`, 'Give the two tables different aliases.');
  }

  /** `TABLE t` as a query, not `TRUNCATE TABLE t` or `LOCK TABLE t`. */
  #isTableCommand(token: number): boolean {
    const [before, word] = [token - 1, token].map((one) => this.tokens()[one]?.text.toUpperCase());
    return word === 'TABLE' && before !== 'TRUNCATE' && before !== 'LOCK';
  }
}

function isNamed({ rangeVar, schema, name }: NamedUse, givenSchema: string, givenName: string): boolean {
  return rangeVar.alias === undefined && schema === givenSchema && name === givenName;
}

/** Whether a relation or an alias of this name stands in a tree, other than those in `except`. */
function bearsName(tree: unknown, name: string, except: ReadonlySet<unknown>): boolean {
  if (Array.isArray(tree)) return tree.some((item) => bearsName(item, name, except));
  if (typeof tree !== 'object' || tree === null || except.has(tree)) return false;
  if ('aliasname' in tree && tree.aliasname === name) return true;
  if ('relname' in tree && tree.relname === name && !('alias' in tree)) return true;
  return Object.values(tree).some((value) => bearsName(value, name, except));
}

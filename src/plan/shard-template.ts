import { at } from '../base/assert.ts';
import type { TableUse } from '../analyze/relation.ts';
import type { DistributedTable } from '../catalog/catalog-snapshot.ts';
import { shardName } from '../catalog/shard-name.ts';
import { walk } from '../sql/ast.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { Token } from '../sql/scan.ts';
import { scanTokens, tokenAt } from '../sql/scan.ts';
import type { Edit, Template } from '../sql/template.ts';
import { applyEdits, fillTemplate } from '../sql/template.ts';
import { schemaCuts } from './schema-cuts.ts';
import { unsupported } from './select/unsupported.ts';

/** What differs between the shard groups that one statement runs on. */
type Hole =
  | { readonly kind: 'shard'; readonly table: DistributedTable; readonly use: number }
  /** A constraint or index named in the statement. */
  | { readonly kind: 'constraint'; readonly table: DistributedTable; readonly use: number; readonly name: string };

/** A statement whose tables are to be replaced by shards: the caller's own text but for names. */
export interface ShardTemplate {
  readonly template: Template<Hole>;
  /** The statement's `$1`, `$2` … are these parameters of the caller's, by their numbers. */
  readonly parameters: readonly number[];
  /** Number of uses of distributed tables, in the order of `ordinals` for `renderTemplate`. */
  readonly uses: number;
}

export interface TemplateOptions {
  /** Further cuts, such as once-evaluated functions. */
  readonly edits?: readonly Edit<Hole>[];
}

/**
 * Cuts the names of catalog tables out of a statement. A shard takes its table's name as alias where the caller gave none, so everything else
 * can stay as it was written; column references that name a schema lose it.
 */
export function shardTemplate(statement: Statement, uses: readonly TableUse[], options: TemplateOptions = {}): ShardTemplate {
  const cutter = new NameCutter(statement);
  const distributed = uses.filter((use) => use.table.kind === 'distributed');
  const edits: Edit<Hole>[] = [...(options.edits ?? [])];
  for (const use of uses) edits.push(cutter.tableEdit(use, distributed.indexOf(use)));
  edits.push(...cutter.columnEdits(uses), ...cutter.constraintEdits(uses[0], distributed));
  const numbers = parameterNumbers(statement.node);
  const contiguous = numbers.every((number, i) => number === i + 1);
  if (!contiguous) edits.push(...cutter.parameterEdits(numbers));
  return { template: applyEdits(statement.text, edits), parameters: numbers, uses: distributed.length };
}

/** The statement for one shard group; `ordinalOf(use)` says which shard of each use's table. */
export function renderTemplate({ template }: ShardTemplate, ordinalOf: (use: number) => number): string {
  return fillTemplate(template, (hole) => {
    const id = at(hole.table.shardIds, ordinalOf(hole.use));
    if (hole.kind === 'constraint') return quoteIdentifier(shardName(hole.name, id));
    return quoteQualified(hole.table.schema, shardName(hole.table.name, id));
  });
}

/** The parameters that a tree mentions, ascending. */
export function parameterNumbers(tree: unknown): number[] {
  const numbers = new Set<number>();
  walk(tree, (kind, body) => {
    if (kind === 'ParamRef' && 'number' in body) numbers.add(Number(body.number));
    return undefined;
  });
  return [...numbers].sort((a, b) => a - b);
}

class NameCutter {
  readonly #statement: Statement;
  #tokens: readonly Token[] | undefined;

  constructor(statement: Statement) {
    this.#statement = statement;
  }

  tableEdit(use: TableUse, index: number): Edit<Hole> {
    const tokens = this.#scanned();
    const first = this.#tokenOf(use.rangeVar.location ?? 0);
    const last = first + (use.rangeVar.catalogname === undefined ? (use.rangeVar.schemaname === undefined ? 0 : 2) : 4);
    const name = tableHole(use, index);
    const alias = use.rangeVar.alias === undefined ? [` AS ${quoteIdentifier(use.rangeVar.relname ?? '')}`] : [];
    const before = tokens[first - 1]?.text.toUpperCase();
    const cut = { start: at(tokens, first).start, end: at(tokens, last).end };
    if (before === 'TABLE' && this.#isTableCommand(first)) {
      return { ...cut, start: at(tokens, first - 1).start, parts: ['SELECT * FROM ', name, ...alias] };
    }
    if (before === '(' && tokens[first - 2]?.text.toUpperCase() === 'ONLY') {
      return { start: at(tokens, first - 1).start, end: at(tokens, last + 1).end, parts: [name, ...alias] };
    }
    if (tokens[last + 1]?.text === '*') return { ...cut, end: at(tokens, last + 1).end, parts: [name, ...alias] };
    return { ...cut, parts: [name, ...alias] };
  }

  /** `schema.table.column` → `table.column`, for uses that have no alias. */
  columnEdits(uses: readonly TableUse[]): Edit<Hole>[] {
    const cuts = schemaCuts(this.#statement, this.#scanned(), (schema, table) => {
      const named = uses.some((use) => isNamed(use, schema, table));
      if (named) this.#checkOneMeaning(uses, schema, table);
      return named;
    });
    return cuts.map((cut) => ({ ...cut, parts: [] }));
  }

  /** Without its schema the name must still mean the same table: no other relation of the statement may bear it. */
  #checkOneMeaning(uses: readonly TableUse[], schema: string, table: string): void {
    const same = new Set<unknown>(uses.filter((use) => isNamed(use, schema, table)).map(({ rangeVar }) => rangeVar));
    if (!bearsName(this.#statement.node, table, same)) return;
    throw unsupported(`Columns of "${schema}.${table}" are named with the schema, and another relation is called "${table}", too.`, 'Give the two tables different aliases.');
  }

  /** `ON CONFLICT ON CONSTRAINT name`: a shard's constraint has the shard's id in its name. */
  constraintEdits(target: TableUse | undefined, distributed: readonly TableUse[]): Edit<Hole>[] {
    const edits: Edit<Hole>[] = [];
    walk(this.#statement.node, (kind, body) => {
      if (kind !== 'InsertStmt' || !('onConflictClause' in body)) return undefined;
      const { infer } = body.onConflictClause as { infer?: { conname?: string; location?: number } };
      if (infer?.conname === undefined || target === undefined) return undefined;
      const tokens = this.#scanned();
      let i = this.#tokenOf(infer.location ?? 0);
      while (tokens[i] !== undefined && tokens[i]?.text.toUpperCase() !== 'CONSTRAINT') i += 1;
      const token = at(tokens, i + 1);
      edits.push({ start: token.start, end: token.end, parts: [constraintHole(target, distributed.indexOf(target), infer.conname)] });
      return undefined;
    });
    return edits;
  }

  /** Renumbers parameters so that there is no gap: a server cannot tell the type of one that is not used. */
  parameterEdits(numbers: readonly number[]): Edit<Hole>[] {
    const places = new Map<number, number>();
    walk(this.#statement.node, (kind, body) => {
      if (kind === 'ParamRef' && 'number' in body) {
        places.set('location' in body ? Number(body.location) : 0, Number(body.number));
      }
      return undefined;
    });
    return [...places].map(([location, number]) => {
      const token = at(this.#scanned(), this.#tokenOf(location));
      return { start: token.start, end: token.end, parts: [`$${numbers.indexOf(number) + 1}`] };
    });
  }

  #scanned(): readonly Token[] {
    this.#tokens ??= scanTokens(this.#statement.text);
    return this.#tokens;
  }

  #tokenOf(location: number): number {
    return tokenAt(this.#scanned(), this.#statement.source.index(location));
  }

  /** `TABLE t` as a query, not `TRUNCATE TABLE t` or `LOCK TABLE t`. */
  #isTableCommand(first: number): boolean {
    const before = this.#scanned()[first - 2]?.text.toUpperCase();
    return before !== 'TRUNCATE' && before !== 'LOCK';
  }
}

function isNamed({ rangeVar, table }: TableUse, schema: string, name: string): boolean {
  return rangeVar.alias === undefined && table.schema === schema && table.name === name;
}

/** Whether a relation or an alias of this name stands in a tree, other than those in `except`. */
function bearsName(tree: unknown, name: string, except: ReadonlySet<unknown>): boolean {
  if (Array.isArray(tree)) return tree.some((item) => bearsName(item, name, except));
  if (typeof tree !== 'object' || tree === null || except.has(tree)) return false;
  if ('aliasname' in tree && tree.aliasname === name) return true;
  if ('relname' in tree && tree.relname === name && !('alias' in tree)) return true;
  return Object.values(tree).some((value) => bearsName(value, name, except));
}

function tableHole({ table }: TableUse, use: number): Hole | string {
  if (table.kind === 'distributed') return { kind: 'shard', table, use };
  return quoteQualified(table.schema, shardName(table.name, table.shardId));
}

function constraintHole({ table }: TableUse, use: number, name: string): Hole | string {
  if (table.kind === 'distributed') return { kind: 'constraint', table, use, name };
  return quoteIdentifier(shardName(name, table.shardId));
}

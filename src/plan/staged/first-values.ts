import type { Node, ResTarget, SelectStmt, SubLink } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import { hasVolatileCall } from '../../analyze/function-calls.ts';
import type { Query } from '../../analyze/query-level.ts';
import { queriesIn, readsAround } from '../../analyze/reads-around.ts';
import { at } from '../../base/assert.ts';
import { sameTree, walk } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne } from '../../sql/parse.ts';
import { type Extent, queryExtent } from '../../sql/query-extent.ts';
import { scanTokens, type Token, tokenAt } from '../../sql/scan.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import type { DescribedColumn } from '../describe.ts';
import { unheldTypes } from './query-source.ts';
import type { FirstValue } from './stage.ts';
import type { StagedState } from './staged-state.ts';

export interface FirstValues {
  readonly state: StagedState;
  readonly values: readonly FirstValue[];
}

/**
 * Queries that give one value whatever row is looked at, `(SELECT max(x) FROM t)` and `EXISTS (…)`, are asked first, and stand as parameters behind the `parameters` that
 * there are. So they need not be where the rest is computed: beside aggregates, in HAVING, in LIMIT. PostgreSQL does the same, with an InitPlan.
 */
export async function firstValues(state: StagedState, parameters: number): Promise<FirstValues> {
  const found: Found[] = [];
  const values: Promise<FirstValue>[] = [];
  for (const candidate of candidates(state)) {
    const place = placeOf(state, candidate);
    const known = found.find(({ node }) => sameTree(node, candidate.node));
    const column = place === undefined ? undefined : (known?.column ?? (await columnOf(state, candidate, place.text)));
    if (place === undefined || column === undefined) continue;
    const number = known?.number ?? parameters + values.length + 1;
    if (known === undefined) values.push(valueOf(state, { number, text: place.text, exists: isExists(candidate.node) }));
    found.push({ ...candidate, ...place, column, number });
  }
  if (found.length === 0) return { state, values: [] };
  const edits = found.map((one): Edit<never> => ({ ...one.extent, parts: [`(CAST($${one.number} AS ${one.column.typeSql}))${aliasOf(one)}`] }));
  const rewritten = state.rewritten(parseOne(fillTemplate(applyEdits<never>(state.statement.text, edits), () => '')));
  return { state: rewritten, values: await Promise.all(values) };
}

async function valueOf(state: StagedState, { number, text, exists }: { readonly number: number; readonly text: string; readonly exists: boolean }): Promise<FirstValue> {
  return { number, exists, source: await state.source(parseOne(text)) };
}

interface Candidate {
  readonly node: SubLink;
  readonly select: SelectStmt;
  /** The item of a SELECT list without a name that takes its name from the query. */
  readonly unnamed: boolean;
}

interface Place {
  /** With the parentheses, and EXISTS before them. */
  readonly extent: Extent;
  /** Of the query. */
  readonly text: string;
}

interface Found extends Candidate, Place {
  readonly column: ValueColumn;
  /** Of its parameter; the same for queries that read alike. */
  readonly number: number;
}

type ValueColumn = Pick<DescribedColumn, 'name' | 'typeSql'>;

/** The outermost such queries that read tables, depend on nothing around them, and give the same each time. */
function candidates(state: StagedState): Candidate[] {
  const { rules } = state.context;
  const queries = new Map(queriesIn(state.analyzed().query).map((query): [SelectStmt, Query] => [query.statement, query]));
  const common = commonNames(state.statement.node);
  const found: Candidate[] = [];
  const consider = (node: SubLink, naming: 'named' | 'unnamed' | 'deep'): boolean => {
    if (node.subLinkType !== 'EXPR_SUBLINK' && node.subLinkType !== 'EXISTS_SUBLINK') return false;
    const select = node.subselect !== undefined && 'SelectStmt' in node.subselect ? node.subselect.SelectStmt : undefined;
    const query = select === undefined ? undefined : queries.get(select);
    if (select === undefined || query === undefined || naming === 'deep') return false;
    const relations = namedRelations(select);
    if (relations.length === 0 || relations.some(({ schemaname, relname }) => schemaname === undefined && common.has(relname ?? ''))) return false;
    if (readsAround(query) || hasVolatileCall(select, rules)) return false;
    found.push({ node, select, unnamed: naming === 'unnamed' });
    return true;
  };
  const visit = (tree: unknown, naming: 'named' | 'deep'): void => {
    walk(tree, (kind, body) => {
      if (kind === 'ResTarget' && (body as ResTarget).name === undefined) {
        visitUnnamed((body as ResTarget).val);
        return false;
      }
      return kind === 'SubLink' && consider(body, naming) ? false : undefined;
    });
  };
  // A query may lend its name to the whole item, under a cast or as the ELSE of a CASE.
  const visitUnnamed = (value: Node | undefined): void => {
    if (value !== undefined && 'SubLink' in value && consider(value.SubLink, 'unnamed')) return;
    visit(value, value !== undefined && lendsName(value) ? 'deep' : 'named');
  };
  visit(state.statement.node, 'named');
  return found;
}

/** Whether PostgreSQL names an expression by what is in it. */
function lendsName(value: Node): boolean {
  return 'CaseExpr' in value || 'TypeCast' in value || 'CollateClause' in value || 'A_Indirection' in value;
}

/** What common table expressions are called, at any level. */
function commonNames(tree: Node): Set<string> {
  const names = new Set<string>();
  walk(tree, (kind, body) => {
    if (kind === 'CommonTableExpr' && 'ctename' in body) names.add(String(body.ctename));
    return undefined;
  });
  return names;
}

function placeOf({ statement }: StagedState, { node, select, unnamed }: Candidate): Place | undefined {
  const inner = queryExtent(statement, select);
  if (inner === undefined) return undefined;
  const tokens = scanTokens(statement.text);
  const open = tokenAt(tokens, inner.start) - 1;
  const close = tokenAt(tokens, inner.end);
  const first = isExists(node) ? open - 1 : open;
  // All parentheses around the item, or a name behind the inner ones would stand within the outer ones.
  const around = unnamed ? parenthesesAround(tokens, first, close) : 0;
  if (tokens[open]?.text !== '(' || tokens[close]?.text !== ')' || (isExists(node) && tokens[first]?.text.toUpperCase() !== 'EXISTS')) return undefined;
  return { extent: { start: at(tokens, first - around).start, end: at(tokens, close + around).end }, text: statement.text.slice(inner.start, inner.end) };
}

const existsColumn: ValueColumn = { name: 'exists', typeSql: 'boolean' };

function parenthesesAround(tokens: readonly Token[], first: number, last: number): number {
  let count = 0;
  while (tokens[first - count - 1]?.text === '(' && tokens[last + count + 1]?.text === ')') count += 1;
  return count;
}

/** Undefined for a value that a parameter cannot stand for: a record, or one whose collation it would not have. */
async function columnOf(state: StagedState, { node }: Candidate, text: string): Promise<ValueColumn | undefined> {
  const { columns } = await state.partInput().describe.statement(text, { collations: true });
  if (isExists(node)) return existsColumn;
  const [column] = columns;
  if (column === undefined || columns.length > 1 || unheldTypes.has(column.typeOid)) return undefined;
  return column.collation === undefined || column.collation.sql === '"default"' ? column : undefined;
}

function aliasOf({ unnamed, column }: Found): string {
  return unnamed ? ` AS ${quoteIdentifier(column.name)}` : '';
}

function isExists({ subLinkType }: SubLink): boolean {
  return subLinkType === 'EXISTS_SUBLINK';
}

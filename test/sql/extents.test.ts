import type { Node } from '@pgsql/types';
import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { conjuncts, sameTree } from '../../src/sql/ast.ts';
import { conditionExtent } from '../../src/sql/condition-extent.ts';
import { loadGrammar, parseOne, type Statement } from '../../src/sql/parse.ts';
import { type Extent, queryExtent } from '../../src/sql/query-extent.ts';

beforeAll(() => loadGrammar());

/** What may stand between two tokens, words and parentheses that mean nothing there among it. */
const gap = fc.constantFrom(' ', ' ', ' ', '\n', '\t ', ' /* ) WHERE ( AND */ ', ' -- ( SELECT ON\n', ' /* é😀 /* UNION */ */ ');

type Tokens = readonly string[];

const value = fc.constantFrom<Tokens>(['a'], ['t', '.', 'b'], ['1'], ["'é ( AND'"], ['"wh(ere"'], ['x', '[', '1', ']'], ['f', '(', 'a', ',', '2', ')'], ['ARRAY', '[', 'a', ',', '1', ']']);

const grammar = fc.letrec<{ query: Tokens; operand: Tokens; condition: Tokens; expression: Tokens; item: Tokens }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'sql', withCrossShrink: true },
    value,
    fc.tuple(tie('expression'), value).map(([a, b]) => ['(', ...a, '+', ...b, ')']),
    tie('query').map((query) => ['(', ...query, ')']),
    fc.tuple(tie('condition'), value, value).map(([when, a, b]) => ['CASE', 'WHEN', ...when, 'THEN', ...a, 'ELSE', ...b, 'END']),
  ),
  condition: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'sql', withCrossShrink: true },
    fc.tuple(value, value).map(([a, b]) => [...a, '=', ...b]),
    fc.tuple(tie('expression'), value).map(([a, b]) => [...a, '<', ...b]),
    fc.tuple(value, value, value).map(([a, b, c]) => [...a, 'BETWEEN', ...b, 'AND', ...c]),
    fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => [...a, 'AND', ...b]),
    fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => ['(', ...a, 'OR', ...b, ')']),
    fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => ['(', ...a, 'AND', ...b, ')']),
    tie('condition').map((inner) => ['NOT', '(', ...inner, ')']),
    fc.tuple(value, tie('query')).map(([a, query]) => [...a, 'IN', '(', ...query, ')']),
    tie('query').map((query) => ['EXISTS', '(', ...query, ')']),
  ),
  item: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'sql', withCrossShrink: true },
    fc.constantFrom<Tokens>(['t'], ['s', '.', 't', 'AS', 'u'], ['"ünï"']),
    tie('query').map((query) => ['(', ...query, ')', 'AS', 'q']),
    fc.tuple(fc.constantFrom('JOIN', 'LEFT JOIN', 'FULL JOIN'), tie('item'), tie('condition')).map(([join, right, on]) => ['t', ...join.split(' '), ...right, 'ON', ...on]),
  ),
  operand: fc.tuple(tie('expression'), fc.option(tie('item')), fc.option(tie('condition')), fc.constantFrom<Tokens>([], ['GROUP', 'BY', 'a'], ['HAVING', 'true'])).map(
    ([target, from, where, grouped]) => ['SELECT', ...target, ...(from === null ? [] : ['FROM', ...from]), ...(where === null ? [] : ['WHERE', ...where]), ...grouped],
  ),
  query: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'sql', withCrossShrink: true },
    tie('operand'),
    fc.tuple(tie('operand'), fc.constantFrom<Tokens>(['ORDER', 'BY', '1'], ['LIMIT', '3'], ['OFFSET', '1'])).map(([select, tail]) => [...select, ...tail]),
    fc.tuple(tie('operand'), fc.constantFrom<Tokens>(['UNION'], ['UNION', 'ALL'], ['INTERSECT'], ['EXCEPT', 'ALL']), tie('operand')).map(([a, operator, b]) => [...a, ...operator, ...b]),
    fc.tuple(tie('operand'), tie('query'), tie('operand')).map(([a, b, c]) => [...a, 'EXCEPT', '(', ...b, ')', 'UNION', ...c]),
    fc.tuple(tie('query'), tie('operand')).map(([common, select]) => ['WITH', 'c', '(', 'a', ')', 'AS', '(', ...common, ')', ...select]),
    fc.constant<Tokens>(['VALUES', '(', '1', ',', 'a', ')']),
  ),
}));

const statement = fc.tuple(grammar.query, fc.infiniteStream(gap)).map(([tokens, gaps]) => parseOne(tokens.map((token) => token + gaps.next().value).join('')));

/** Parts that read alike and stand apart. */
const twins: [Statement][] = [];
beforeAll(() => {
  for (const text of ['SELECT 1 EXCEPT SELECT 1', 'SELECT 1 UNION ALL SELECT 2 EXCEPT (SELECT 1 UNION ALL SELECT 2)', 'SELECT (SELECT a), (SELECT a) WHERE a = 1 AND a = 1', 'SELECT 1 WHERE a = 1 AND (a = 1 OR a = 1 AND a = 1)']) {
    twins.push([parseOne(text)]);
  }
});

test('a query\'s extent is the query, and replacing it changes nothing else', () => {
  fc.assert(fc.property(statement, (whole) => {
    for (const { path, node } of nodesOf(whole.node, isQuery)) {
      const extent = queryExtent(whole, node);
      const closed = path.at(-3) === 'RangeSubselect' || path.at(-3) === 'SubLink' || path.at(-3) === 'CommonTableExpr';
      if (closed) expect(extent, 'found in parentheses of its own').toBeDefined();
      if (extent !== undefined) checkReplaced(whole, { path, extent, text: 'SELECT 424242', replacement: parseOne('SELECT 424242').node });
    }
  }), { numRuns: 150, examples: twins });
});

test('a condition\'s extent is the condition, and replacing it changes nothing else', () => {
  let found = 0;
  let looked = 0;
  fc.assert(fc.property(statement, (whole) => {
    for (const { path, node } of nodesOf(whole.node, isConjunct)) {
      const extent = conditionExtent(whole, node as Node);
      looked += 1;
      if (extent === undefined) continue;
      found += 1;
      checkReplaced(whole, { path, extent, text: 'TRUE', replacement: conjunct('TRUE') });
    }
  }), { numRuns: 150, examples: twins });
  expect(found).toBeGreaterThan(looked / 2);
});

interface Replaced {
  readonly path: readonly string[];
  readonly extent: Extent;
  readonly text: string;
  readonly replacement: Node;
}

function checkReplaced(whole: Statement, { path, extent, text, replacement }: Replaced): void {
  const edited = parseOne(whole.text.slice(0, extent.start) + text + whole.text.slice(extent.end));
  const expected = structuredClone(whole.node);
  const parent = at(expected, path.slice(0, -1));
  const last = path.at(-1) ?? '';
  Reflect.set(parent, last, 'SelectStmt' in replacement ? replacement.SelectStmt : replacement);
  expect(sameTree(edited.node, expected), `${whole.text}\n→ ${edited.text}`).toBe(true);
}

function conjunct(text: string): Node {
  const { node } = parseOne(`SELECT WHERE ${text}`);
  return ('SelectStmt' in node ? node.SelectStmt.whereClause : undefined) ?? node;
}

function at(tree: object, path: readonly string[]): object {
  return path.reduce((inner: object, key) => Reflect.get(inner, key) as object, tree);
}

interface Place {
  readonly path: readonly string[];
  readonly node: object;
}

function nodesOf(tree: object, isWanted: (node: object, path: readonly string[], tree: object) => boolean): Place[] {
  const found: Place[] = [];
  const visit = (node: unknown, path: readonly string[]): void => {
    if (typeof node !== 'object' || node === null) return;
    if (isWanted(node, path, tree)) found.push({ path, node });
    for (const [key, inner] of Object.entries(node)) visit(inner, [...path, key]);
  };
  visit(tree, []);
  return found;
}

/** Bodies, since operands of UNION stand without their kind. */
function isQuery(node: object): boolean {
  return 'limitOption' in node && 'op' in node;
}

/** A whole WHERE or ON condition that is no AND, or an argument of one that is. */
function isConjunct(node: object, path: readonly string[], tree: object): boolean {
  const clause = path.findLastIndex((key) => key === 'whereClause' || key === 'quals');
  if (clause < 0) return false;
  const condition = at(tree, path.slice(0, clause + 1)) as Node;
  return conjuncts(condition).some((each) => each === node);
}

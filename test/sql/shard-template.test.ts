import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { analyzeSelect } from '../../src/analyze/analyze-statement.ts';
import { RelationNames } from '../../src/analyze/relation-names.ts';
import { shardName } from '../../src/catalog/shard-name.ts';
import { renderTemplate, shardTemplate } from '../../src/plan/shard-template.ts';
import { nameParts, relationAlias, replaceNodes, sameTree } from '../../src/sql/ast.ts';
import type { Node } from '../../src/sql/ast.ts';
import { quoteIdentifier } from '../../src/sql/identifiers.ts';
import { loadGrammar, parseOne } from '../../src/sql/parse.ts';
import { oddNames, oddSchema, oddSnapshot } from './odd-snapshot.ts';

beforeAll(() => loadGrammar());

const snapshot = oddSnapshot();
const names = new RelationNames(snapshot, ['public']);

const gap = fc.constantFrom(' ', '  ', '\n', ' /* ß 😀 */ ', ' -- é $1 "\n', ' /* a /* nested */ */ ', '\t');

/** A name as one may write it: quoted, with Unicode escapes, or bare where that is the same. */
const written = (name: string) => fc.constantFrom(
  quoteIdentifier(name),
  ...(/^[a-z]+$/.test(name) && name !== 'select' && name !== 'values' ? [name, name.toUpperCase()] : []),
  `U&"${Array.from(name, (c) => `\\+${(c.codePointAt(0) ?? 0).toString(16).padStart(6, '0')}`).join('')}"`,
);

interface Item {
  /** In FROM. */
  readonly from: string;
  /** As prefix of a column. */
  readonly prefix: string;
}

const item = (alias: string): fc.Arbitrary<Item> => fc
  .record({ name: fc.constantFrom(...oddNames), schema: fc.constantFrom(undefined, 'public', oddSchema), aliased: fc.boolean(), as: fc.boolean(), g: gap, h: gap, only: fc.constantFrom('plain', 'only', 'only_parens', 'star') })
  .chain(({ name, schema, aliased, as, g, h, only }) => fc.tuple(written(name), written(name), written(schema ?? '')).map(([first, second, prefix]): Item => {
    const qualified = schema === undefined ? first : `${prefix}${g}.${h}${first}`;
    const table = only === 'only' ? `ONLY${g}${qualified}` : only === 'only_parens' ? `ONLY${g}(${h}${qualified}${g})` : only === 'star' ? `${qualified}${h}*` : qualified;
    if (aliased) return { from: `${table}${g}${as ? 'AS ' : ''}"${alias}"`, prefix: `"${alias}"` };
    return { from: table, prefix: schema === undefined ? second : `${prefix}${h}.${g}${second}` };
  }));

const statement = fc.record({ a: item('one'), b: item('Zwei ä'), g: gap, h: gap, shape: fc.integer({ min: 0, max: 4 }) }).map(({ a, b, g, h, shape }) => {
  const one = `${a.prefix}${g}.${h}k`;
  const other = `${b.prefix}.${g}"Val"`;
  switch (shape) {
    case 0:
      return `SELECT 'ä😀'${g}, ${one}${h}FROM${g} ${a.from}${h}WHERE ${one} = 3 AND 'orders' <> $$${g}$$`;
    case 1:
      return `SELECT ${one}${g}FROM ${a.from} WHERE EXISTS (SELECT${h} 1 FROM ${b.from} WHERE ${other} = $2 OR ${b.prefix}.k = $4)`;
    case 2:
      return `WITH "cte"${g}AS (SELECT * FROM${h} ${a.from}) SELECT * FROM "cte"${g}, (SELECT ${other} AS v FROM ${b.from}) q`;
    case 3:
      return `SELECT ${one} FROM ${a.from}${g}UNION ALL${h}SELECT ${other} FROM ${b.from} ORDER BY 1`;
    default:
      return `SELECT U&'\\00E4', max(${one})${g}FILTER (WHERE ${one} > 1) FROM ${a.from}${h}GROUP BY ${a.prefix}."Val"`;
  }
});

/** Table names and schema qualifiers away: what the cuts may change. */
function withoutNames(tree: Node, meant: (schema: string | undefined, name: string) => string): Node {
  return replaceNodes(tree, (node) => {
    if ('RangeVar' in node) {
      const { schemaname, relname = '', alias, relpersistence, ...rest } = node.RangeVar;
      const { location: _location, inh: _inh, ...others } = rest;
      const meaning = meant(schemaname, relname);
      return { RangeVar: { ...others, ...(relpersistence === undefined ? {} : { relpersistence }), relname: meaning, alias: { aliasname: alias?.aliasname ?? relname } } };
    }
    if ('ColumnRef' in node && (node.ColumnRef.fields?.length ?? 0) > 2) return { ColumnRef: { fields: node.ColumnRef.fields?.slice(-2) ?? [] } };
    return undefined;
  });
}

test('a spliced statement parses to the same tree but for the names that were cut and the columns that were written out', () => {
  let spliced = 0;
  fc.assert(fc.property(statement, fc.integer({ min: 0, max: 1 }), (sql, ordinal) => {
    const original = parseOne(sql);
    if (!('SelectStmt' in original.node)) throw new Error('no SELECT');
    const { uses } = analyzeSelect(original.node.SelectStmt, names);
    const template = refusedOr(() => shardTemplate(original, uses));
    if (template === undefined) return;
    spliced += 1;
    const text = renderTemplate(template, () => ordinal);
    const shards = new Map(uses.flatMap(({ table }) => (table.kind === 'distributed'
      ? [[`${table.schema}.${shardName(table.name, table.shardIds[ordinal] ?? table.shardIds[0] ?? (0 as never))}`, `${table.schema}.${table.name}`] as const] : [])));
    // The star over a table is written out; that over the common table expression stays.
    const inCommon = uses.map(({ rangeVar }) => quoteIdentifier(relationAlias(rangeVar))).at(0) ?? '';
    const expected = withoutNames(parseOne(sql.replace('(SELECT * FROM', () => `(SELECT ${inCommon}."k", ${inCommon}."Val" FROM`)).node, (schema, name) => {
      const table = names.resolve(schema, name);
      return table === undefined ? name : `${table.schema}.${table.name}`;
    });
    const found = withoutNames(parseOne(text).node, (schema, name) => shards.get(`${schema}.${name}`) ?? name);
    expect(sameTree(numbered(found, template.parameters), expected), text).toBe(true);
  }), { numRuns: 1500 });
  expect(spliced).toBeGreaterThan(1000);
});

/** Undefined where two tables of one name are told apart by their schemas alone, which is refused. */
function refusedOr<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === '0A000') return undefined;
    throw error;
  }
}

/** Parameters by the caller's numbers again. */
function numbered(tree: Node, parameters: readonly number[]): Node {
  return replaceNodes(tree, (node) => ('ParamRef' in node ? { ParamRef: { number: parameters[(node.ParamRef.number ?? 0) - 1] ?? 0 } } : undefined));
}

test('a common table expression hides the table of its name', () => {
  const original = parseOne('WITH "Orders" AS (SELECT 1 AS k) SELECT k FROM "Orders", orders');
  if (!('SelectStmt' in original.node)) throw new Error('no SELECT');
  const { uses } = analyzeSelect(original.node.SelectStmt, names);
  expect(uses.map(({ table }) => table.name)).toEqual(['orders']);
  expect(renderTemplate(shardTemplate(original, uses), () => 0)).toBe('WITH "Orders" AS (SELECT 1 AS k) SELECT k FROM "Orders", "public"."orders_102008" AS "orders"');
});

test('a qualified column is not cut where its bare name would mean another relation', () => {
  const original = parseOne('SELECT 1 FROM public.orders WHERE EXISTS (SELECT 1 FROM "Orders" AS orders WHERE orders.k = public.orders.k)');
  if (!('SelectStmt' in original.node)) throw new Error('no SELECT');
  const { uses } = analyzeSelect(original.node.SelectStmt, names);
  expect(() => shardTemplate(original, uses)).toThrow('the statement cannot be distributed');
  expect(nameParts([{ String: { sval: 'k' } }])).toEqual(['k']);
});

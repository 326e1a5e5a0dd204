import * as fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { namedRelations } from '../../../src/analyze/analyze-statement.ts';
import { NameCutter } from '../../../src/plan/name-cutter.ts';
import { ColumnNeeds } from '../../../src/plan/staged/needed-columns.ts';
import { loadGrammar, parseOne } from '../../../src/sql/parse.ts';
import { applyEdits, fillTemplate } from '../../../src/sql/template.ts';
import { createTestDatabases, type TestDatabases } from '../../support/test-databases.ts';

const tables: Readonly<Record<string, readonly string[]>> = { t: ['a', 'b', 'c'], u: ['a', 'd', 'e'], w: ['f', 'b', 'g'] };

let databases: TestDatabases;
let client: Client;
beforeAll(async () => {
  await loadGrammar();
  databases = await createTestDatabases({ nodes: 0 });
  client = new Client(databases.coordinator.connectionString);
  await client.connect();
  for (const [table, columns] of Object.entries(tables)) {
    await client.query(`CREATE TABLE ${table} (${columns.map((name) => `${name} int`).join(', ')})`);
    await client.query(`INSERT INTO ${table} SELECT ${columns.map((_, i) => `(g + ${i}) % ${i + 2}`).join(', ')} FROM generate_series(1, 5) g`);
  }
});
afterAll(async () => {
  await client.end();
  await databases.drop();
});

const relation = fc.constantFrom('t', 'u', 'w', 't AS x', 'u AS x', 'w AS y', 't AS x (a, d, e)', '(SELECT * FROM u) AS y', '(SELECT a, b FROM t) AS x', '(SELECT x FROM t AS x) AS y');
const from = fc.oneof(
  relation,
  fc.tuple(relation, fc.constantFrom('JOIN', 'LEFT JOIN', 'FULL JOIN'), relation, fc.constantFrom('USING (a)', 'USING (b)', 'ON true', 'USING (a) AS j')).map((parts) => parts.join(' ')),
  fc.tuple(relation, relation).map(([a, b]) => `${a} NATURAL JOIN ${b}`),
  fc.tuple(relation, relation).map((parts) => parts.join(', ')),
);
/** Names that may be right where `source` is what is read; often they are not, or ambiguous. */
function columnIn(source: string): fc.Arbitrary<string> {
  const aliases = [...source.matchAll(/\b[tuwxyj]\b/g)].map(([alias]) => alias);
  const names = Object.entries(tables).flatMap(([table, columns]) => (source.includes(table) ? columns : []));
  return fc.oneof(fc.constantFrom(...names), fc.tuple(fc.constantFrom(...aliases), fc.constantFrom(...names)).map((parts) => parts.join('.')));
}

function targetIn(source: string): fc.Arbitrary<string> {
  const column = columnIn(source);
  return fc.oneof(
    column, column, fc.constantFrom('*', 'count(*) OVER ()', 't.*', 'x.*', 'y.*', 't', 'x', 'row_to_json(u)::text', '(t).b', '(x.*)::text'),
    fc.tuple(fc.constantFrom('t', 'u', 'w'), column, column).map(([table, a, b]) => `(SELECT max(${a}) FROM ${table} WHERE ${b} > 0)`),
    fc.tuple(fc.constantFrom('t', 'u', 'w'), column, column).map(([table, a, b]) => `EXISTS (SELECT * FROM ${table} AS z WHERE ${a} = ${b})`),
  );
}

const query = from.chain((source) => fc.record({
  targets: fc.array(targetIn(source), { minLength: 1, maxLength: 2 }), where: fc.option(columnIn(source)), order: fc.option(columnIn(source)),
}).map(({ targets, where, order }) => [
  `SELECT ${targets.join(', ')} FROM ${source}`, where === null ? '' : ` WHERE ${where} > 0`, order === null ? '' : ` ORDER BY ${order}`,
].join('')));

test('a statement gives the same over tables with nothing but the columns it needs', async () => {
  let answered = 0;
  let narrowed = 0;
  await fc.assert(fc.asyncProperty(query, async (sql) => {
    const expected = await outcome(sql);
    if (expected === undefined) return;
    const narrow = narrowedText(sql);
    answered += 1;
    if (narrow.some) narrowed += 1;
    expect(await outcome(narrow.text), narrow.text).toEqual(expected);
  }), { numRuns: 1_500 });
  expect(answered).toBeGreaterThan(100);
  expect(narrowed).toBeGreaterThan(answered / 5);
});

/** Undefined for what PostgreSQL refuses. */
async function outcome(sql: string): Promise<{ names: string[]; rows: string[] } | undefined> {
  try {
    const { rows, fields } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return { names: fields.map((field) => field.name), rows: rows.map((row) => JSON.stringify(row)).toSorted() };
  } catch {
    return undefined;
  }
}

/** Every table gives way to one without the columns that are not needed. */
function narrowedText(sql: string): { readonly text: string; readonly some: boolean } {
  const statement = parseOne(sql);
  const needs = new ColumnNeeds(statement.node);
  const cutter = new NameCutter(statement);
  let some = false;
  const edits = namedRelations(statement.node).flatMap((rangeVar) => {
    const columns = tables[rangeVar.relname ?? ''];
    if (columns === undefined) return [];
    const needed = needs.of(rangeVar, columns);
    some ||= needed.length < columns.length;
    return [cutter.relationEdit<never>(rangeVar, `(SELECT ${needed.join(', ')} FROM ${rangeVar.relname ?? ''})`)];
  });
  return { text: fillTemplate(applyEdits<never>(sql, edits), () => ''), some };
}

import { expect, test } from 'vitest';
import { compareUnits, type Verdict } from './compare-units.ts';
import { unitsOf } from './echoed-lines.ts';
import { filesInOrder } from './schedule.ts';
import { scriptOf } from './script.ts';

const file = `SELECT 1 AS a;

CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$
  SELECT 1;

$$;
COPY t FROM stdin;
1
2
\\.
COPY nope FROM stdin;
SELECT * FROM t;`;

const printed = `SELECT 1 AS a;
 a
---
 1
(1 row)

CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$
  SELECT 1;
$$;
CREATE FUNCTION
COPY t FROM stdin;
COPY 2
COPY nope FROM stdin;
ERROR:  42P01: relation "nope" does not exist
LOCATION:  parserOpenTable, parse_relation.c:1395
SELECT * FROM t;
 1
 2
`;

test('output goes with the statement before it, and data of COPY are no lines of it', () => {
  const units = unitsOf(scriptOf(file, 'undistributed'), printed);
  expect([...units].map(([place, { statement, output }]) => [place, statement.split('\n').length, output.split('\n')[0]])).toEqual([
    [1, 1, ' a'], [6, 3, 'CREATE FUNCTION'], [7, 1, 'COPY 2'], [11, 1, 'ERROR:  42P01: relation "nope" does not exist'], [12, 1, ' 1'],
  ]);
});

function verdicts(script: string, answers: { readonly direct: string; readonly control?: string; readonly cluster: string }): Verdict[] {
  const units = (text: string): ReturnType<typeof unitsOf> => unitsOf(scriptOf(script, 'undistributed'), text);
  return compareUnits({ direct: units(answers.direct), control: units(answers.control ?? answers.direct), cluster: units(answers.cluster) }, new Set()).map(({ verdict }) => verdict);
}

test('answers are equal but for where an error was raised in the source, and which node it came from', () => {
  const cluster = printed.replace('LOCATION:  parserOpenTable, parse_relation.c:1395', 'CONTEXT:  node 127.0.0.1:5432/regression');
  expect(verdicts(file, { direct: printed, cluster })).toEqual(['equal', 'equal', 'equal', 'equal', 'equal']);
  expect(verdicts(file, { direct: printed, cluster: printed.replace('COPY 2', 'COPY 3').replace('"nope"', '"n"') })).toEqual(['equal', 'equal', 'different', 'different', 'equal']);
  expect(verdicts(file, { direct: printed, cluster: printed.slice(0, printed.indexOf('COPY nope')) })).toEqual(['equal', 'equal', 'equal', 'different', 'different']);
});

test('a plan of the cluster is told apart from answers', () => {
  const explained = (plan: string): string => `EXPLAIN SELECT 1;\n     QUERY PLAN     \n----\n ${plan}\n(1 row)\n`;
  expect(verdicts('EXPLAIN SELECT 1;', { direct: explained('Result'), cluster: explained('Router') })).toEqual(['plan']);
  expect(verdicts('EXPLAIN SELECT 1;', { direct: explained('Result'), cluster: 'EXPLAIN SELECT 1;\nERROR:  XX000: no\n' })).toEqual(['different']);
});

test('an order that nothing asks for is told apart, and what one PostgreSQL does not answer twice alike', () => {
  const swapped = printed.replace(' 1\n 2\n', ' 2\n 1\n');
  expect(verdicts(file, { direct: printed, cluster: swapped }).at(-1)).toBe('order');
  expect(verdicts(file.replace('FROM t;', 'FROM t ORDER BY 1;'), { direct: printed.replace('FROM t;', 'FROM t ORDER BY 1;'), cluster: swapped.replace('FROM t;', 'FROM t ORDER BY 1;') }).at(-1)).toBe('different');
  expect(verdicts(file, { direct: printed, control: printed.replace(' 1\n 2\n', ' 7\n'), cluster: swapped }).at(-1)).toBe('noise');
});

test('what names a thing that was refused follows from that', () => {
  const script = 'CREATE TABLE q (a int);\nSELECT * FROM q;\nSELECT * FROM r;';
  const direct = 'CREATE TABLE q (a int);\nCREATE TABLE\nSELECT * FROM q;\n 1\nSELECT * FROM r;\n 1';
  const cluster = 'CREATE TABLE q (a int);\nERROR:  0A000: no\nLOCATION:  SW002, \nSELECT * FROM q;\nERROR\nSELECT * FROM r;\nERROR';
  expect(verdicts(script, { direct, cluster })).toEqual(['refused', 'follows', 'different']);
});

test('tables become single-shard directly after they are made, outside of blocks, and not those that others inherit', () => {
  const script = `CREATE TABLE a (
  i int);
CREATE TEMP TABLE b (i int);
CREATE TABLE "c d" (i int) PARTITION BY LIST (i);
CREATE TABLE e PARTITION OF "c d" DEFAULT;
CREATE TABLE f AS SELECT 1;
BEGIN;
CREATE TABLE g (i int);
COMMIT;
CREATE TABLE j (i int);
COPY j FROM :'filename';
CREATE TABLE h (i int);
CREATE TABLE i () INHERITS (h);`;
  const lines = scriptOf(script, 'single-shard');
  expect(lines.filter(({ isAdded }) => isAdded).map(({ text }) => text)).toEqual([`SELECT create_distributed_table('a', NULL);`, `SELECT create_distributed_table('"c d"', NULL);`, `SELECT create_distributed_table('j', NULL);`]);
  expect(lines.findIndex(({ text }) => text.includes("'j'"))).toBe(lines.findIndex(({ text }) => text.startsWith('COPY j')) + 1);
  const units = unitsOf(lines, lines.map(({ text }) => `${text}\n> ${text}`).join('\n'));
  expect([...units.keys()].slice(0, 4)).toEqual([1, 2, 2.5, 3]);
});

test('files come in the order of the schedule, with those that they need', () => {
  const schedule = '# test: x\ntest: test_setup\ntest: join create_misc\n\ntest: create_index\ntest: select';
  expect(filesInOrder(schedule, undefined)).toEqual(['test_setup', 'join', 'create_misc', 'create_index', 'select']);
  expect(filesInOrder(schedule, ['join'])).toEqual(['test_setup', 'join', 'create_misc', 'create_index']);
  expect(() => filesInOrder(schedule, ['nope'])).toThrow('there is no such file: nope');
});

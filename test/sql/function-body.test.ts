import { beforeAll, expect, test } from 'vitest';
import { bodyNames } from '../../src/sql/function-body.ts';
import { loadGrammar } from '../../src/sql/parse.ts';

beforeAll(() => loadGrammar());

const plpgsql = (body: string) =>
  bodyNames({ language: 'plpgsql', source: body, definition: `CREATE OR REPLACE FUNCTION public.f()\n RETURNS trigger\n LANGUAGE plpgsql\nAS $function$${body}$function$` });
const sql = (source: string) => bodyNames({ language: 'sql', source, definition: null });

test('tables of statements, loops, assignments, conditions and types', () => {
  const names = plpgsql(`DECLARE r a.one%ROWTYPE; v two.col%TYPE; BEGIN
    new.x := (SELECT max(y) FROM three); IF EXISTS (SELECT FROM "Four") THEN DELETE FROM five USING six; END IF;
    FOR r IN WITH seven AS (SELECT 1) SELECT * FROM seven, eight LOOP PERFORM tell(nine.x) FROM nine; END LOOP; RETURN new; END`);
  expect(names?.relations.map(({ schema, name }) => (schema === undefined ? name : `${schema}.${name}`)).filter((name) => !/^(name|text|oid|integer|boolean|text\[\]|record|trigger)$/.test(name)).sort()).toEqual([
    'Four', 'a.one', 'eight', 'five', 'nine', 'six', 'three', 'two',
  ]);
  expect(names?.functions).toEqual(expect.arrayContaining(['max', 'tell']));
  expect(names?.isDynamic).toBe(false);
});

test.each([`EXECUTE 'DROP TABLE x'`, `FOR r IN EXECUTE 'SELECT 1' LOOP NULL; END LOOP`, `RETURN QUERY EXECUTE 'SELECT 1'`])('%s makes its statement', (statement) => {
  const body = `DECLARE r record; BEGIN ${statement}; END`;
  expect(bodyNames({ language: 'plpgsql', source: body, definition: `CREATE FUNCTION f() RETURNS SETOF int LANGUAGE plpgsql AS $f$${body}$f$` })?.isDynamic).toBe(true);
});

test('SQL, in the standard\'s form too', () => {
  expect(sql('SELECT $1')?.relations).toEqual([]);
  expect(sql('RETURN (SELECT count(*) FROM one)')?.relations).toEqual([{ schema: undefined, name: 'one' }]);
  expect(sql('BEGIN ATOMIC\n SELECT 1 FROM a.two;\n SELECT 2;\nEND')?.relations).toEqual([{ schema: 'a', name: 'two' }]);
});

test('what cannot be read', () => {
  expect(bodyNames({ language: 'plperl', source: 'return 1', definition: '' })).toBe(undefined);
  expect(sql('SELECT FROM FROM')).toBe(undefined);
});

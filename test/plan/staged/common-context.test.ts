import { expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { withCommonContext } from '../../../src/plan/staged/common-context.ts';
import { walk } from '../../../src/sql/ast.ts';
import { parseOne } from '../../../src/sql/parse.ts';

/** The context of the DELETE, or else of the query over VALUES, in a statement. */
function contextOf(sql: string, text: string): string | undefined {
  const statement = parseOne(sql);
  let query: object | undefined;
  walk(statement.node, (kind, body) => {
    if (kind === 'DeleteStmt' || (kind === 'SelectStmt' && 'limitCount' in body)) query = body;
    return undefined;
  });
  return withCommonContext(statement, present(query), text);
}

test('a query is given those common table expressions that are in its sight', () => {
  const cut = 'SELECT * FROM a LIMIT 1';
  expect(contextOf(`WITH a AS (SELECT 1) SELECT * FROM (${cut}) s`, cut)).toBe(`WITH a AS (SELECT 1) ${cut}`);
  expect(contextOf(`WITH a AS (SELECT 1), b AS (SELECT * FROM (${cut}) s) SELECT * FROM b`, cut)).toBe(`WITH a AS (SELECT 1) ${cut}`);
});

test('one behind it, or itself, means a table', () => {
  const cut = 'SELECT * FROM a LIMIT 1';
  expect(contextOf(`WITH b AS (SELECT * FROM (${cut}) s), a AS (SELECT 1) SELECT * FROM b, a`, cut)).toBe(cut);
  expect(contextOf(`WITH a AS (SELECT * FROM (${cut}) s) SELECT * FROM a`, cut)).toBe(cut);
  expect(contextOf('WITH a AS (DELETE FROM a RETURNING *) SELECT * FROM a', 'DELETE FROM a RETURNING *')).toBe('DELETE FROM a RETURNING *');
  expect(contextOf(`WITH RECURSIVE a AS (SELECT 1 UNION SELECT * FROM (${cut}) s) SELECT * FROM a`, cut)).toBe(undefined);
});

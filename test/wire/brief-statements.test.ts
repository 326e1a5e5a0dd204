import { beforeAll, expect, test } from 'vitest';
import { loadGrammar, parseOne } from '../../src/sql/parse.ts';
import { BriefStatements } from '../../src/wire/brief-statements.ts';

beforeAll(() => loadGrammar());

/** After each run, whether the next is taken to be brief. */
function afterEach(...tookMs: readonly number[]): boolean[] {
  const brief = new BriefStatements();
  const statement = parseOne('SELECT 1');
  expect(brief.isBrief(statement)).toBe(false);
  return tookMs.map((ms) => {
    brief.note(statement, ms);
    expect(brief.isUnwatched(statement)).toBe(brief.isBrief(statement));
    return brief.isBrief(statement);
  });
}

test.each<[tookMs: number[], isBrief: boolean[]]>([
  [[20, 20.1], [true, true]], [[20.1, 20], [false, true]], [[2, 100, 2, 100, 2], [true, true, true, true, true]], [[15, 25, 15, 25, 30, 30], [true, true, true, true, true, true]],
  [[25, 21, 25, 21], [false, false, false, false]], [[2, 60, 60, 60, 60, 60], [true, true, true, true, false, false]], [[2, 1000, 30, 19], [true, false, false, true]],
])('runs of %j ms', (tookMs, isBrief) => {
  expect(afterEach(...tookMs)).toEqual(isBrief);
});

test('what speaks of settings is watched, however brief', () => {
  const brief = new BriefStatements();
  const statement = parseOne(`SELECT set_config('a.b', '1', false)`);
  brief.note(statement, 1);
  expect([brief.isBrief(statement), brief.isUnwatched(statement)]).toEqual([true, false]);
});

import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { openPlanCluster, type PlanCluster } from './plan-cluster.ts';
import { readPlanFile, writePlanFile } from './plan-file.ts';

let open: PlanCluster | undefined;
beforeAll(async () => {
  open = await openPlanCluster();
});
afterAll(() => open?.[Symbol.asyncDispose]());

/** With REWRITE=1 the files get what came out: read the difference before you commit it. */
const rewrite = process.env['REWRITE'] === '1';

test.each(['router', 'pushdown', 'aggregates', 'order-limit', 'writes', 'staged', 'constructs', 'settings', 'single-shard', 'lookups', 'columns', 'unsupported'])('%s.plan', async (name) => {
  const path = new URL(`${name}.plan`, import.meta.url);
  const cases = readPlanFile(readFileSync(path, 'utf8'));
  const found = [];
  for (const one of cases) found.push({ ...one, expected: await present(open).outcome(one.sql, one.values, one.session) });
  expect(cases.filter(({ comment }) => comment === '').map(({ sql }) => sql)).toEqual([]);
  if (rewrite) writeFileSync(path, writePlanFile(found));
  else expect(writePlanFile(found)).toBe(writePlanFile(cases));
});

test('the files hold every kind of refusal and of plan', () => {
  const texts = ['router', 'pushdown', 'aggregates', 'order-limit', 'writes', 'staged', 'constructs', 'settings', 'single-shard', 'lookups', 'columns', 'unsupported'].map((name) => readFileSync(new URL(`${name}.plan`, import.meta.url), 'utf8'));
  expect(texts.reduce((count, text) => count + readPlanFile(text).length, 0)).toBeGreaterThanOrEqual(120);
});

import { test } from 'vitest';
import { readFileSync } from 'node:fs';
import { openPlanCluster } from './plan/plan-cluster.ts';
test('x', async () => {
  await using open = await openPlanCluster();
  for (const sql of readFileSync('/tmp/q.sql', 'utf8').split('\n').filter(Boolean)) {
    const out = await open.outcome(sql, []);
    console.log(`### ${sql}\n${process.env['FULL'] === '1' ? out : out.split('\n').filter((l) => /Rules|Of:|For:|ERROR|DETAIL|Residual|Combine/.test(l)).map((l) => l.trim()).join(' ; ')}`);
  }
}, 60000);

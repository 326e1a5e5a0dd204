import type { Bench } from '../harness/bench.ts';
import { runChild } from '../harness/run-child.ts';
import { ratioAtLeast, ratioAtMost, valueAtMost } from '../harness/targets.ts';

const sql = 'SELECT id, company_id, clicked_at, country_code, cost FROM clicks ORDER BY clicked_at, id';

/** All clicks in order, a thousand rows at a time, none kept, in a process of its own. */
export const stream: Bench = {
  name: 'stream',
  about: 'all clicks in order: rows/s, time to the first row, memory',
  variants: (bed) => [
    {
      metrics: [
        { name: 'stream/rows', unit: 'rows/s', target: ratioAtLeast(0.9) },
        { name: 'stream/first-row', unit: 'ms', target: ratioAtMost(4.9) },
        { name: 'stream/rss', unit: 'MB', target: valueAtMost(120, 'MB') },
      ],
      warm: true,
      costly: true,
      measure: async ({ kind, connectionString }) => {
        const outcome = await runChild(bed, { kind: 'stream', side: kind, connectionString, sql });
        if (outcome.rows !== bed.rows.size.clicks) throw new Error(`the stream gave ${outcome.rows} rows of ${bed.rows.size.clicks}`);
        return [(outcome.rows / outcome.totalMs) * 1000, outcome.firstMs, outcome.peakMB];
      },
    },
  ],
};

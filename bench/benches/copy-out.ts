import type { Bench } from '../harness/bench.ts';
import { runChild } from '../harness/run-child.ts';
import { ratioAtLeast } from '../harness/targets.ts';

/** COPY TO STDOUT of all clicks as text, in a process of its own. */
export const copyOut: Bench = {
  name: 'copy-out',
  about: 'COPY TO STDOUT of all clicks, and the memory it takes',
  variants: (bed) => [
    {
      metrics: [
        { name: 'copy-out/rows', unit: 'rows/s', target: ratioAtLeast(0.9) },
        { name: 'copy-out/rss-growth', unit: 'MB' },
      ],
      warm: true,
      costly: true,
      measure: async ({ kind, connectionString }) => {
        const outcome = await runChild(bed, { kind: 'copy_out', side: kind, connectionString, sql: 'COPY clicks TO STDOUT' });
        if (outcome.rows !== bed.rows.size.clicks) throw new Error(`COPY gave ${outcome.rows} rows of ${bed.rows.size.clicks}`);
        return [(outcome.rows / outcome.totalMs) * 1000, outcome.peakMB - outcome.baseMB];
      },
    },
  ],
};

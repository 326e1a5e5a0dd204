import type { Bench } from '../harness/bench.ts';
import { runChild } from '../harness/run-child.ts';
import { valueAtMost } from '../harness/targets.ts';

/** Resident memory of a process that connected, ran one query, and waits. Plain: with a `pg.Client`. */
export const idleMemory: Bench = {
  name: 'idle-memory',
  about: 'memory of a process that ran one query and waits',
  variants: (bed) => [
    {
      metrics: [{ name: 'idle-memory/rss', unit: 'MB', target: valueAtMost(120, 'MB') }],
      warm: true,
      costly: true,
      measure: async ({ kind, connectionString }) => {
        const outcome = await runChild(bed, { kind: 'idle', side: kind, connectionString, sql: '' });
        return [outcome.peakMB];
      },
    },
  ],
};

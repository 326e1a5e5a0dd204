import type { Bench, Variant } from '../harness/bench.ts';
import { differenceOf } from '../harness/same-rows.ts';
import { runClients } from '../harness/run-clients.ts';
import { ratioAtLeast, ratioAtMost } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';
import { fanOutQueries, type FanOutQuery } from './fan-out-queries.ts';
import { randomClick } from './random-click.ts';

/** Queries over all shards, against the ratio that Citus reaches on each. Rows of both sides are compared before. */
export const aggregate: Bench = {
  name: 'aggregate',
  about: 'fan-out queries: aggregates, groups, top n, joins, an indexed range',
  variants: (bed) => [
    ...fanOutQueries.map((query) => timed(bed, query)),
    range(bed, { clients: 1, atLeast: 0.73 }),
    range(bed, { clients: 8, atLeast: 0.5 }),
  ],
};

function timed(bed: TestBed, query: FanOutQuery): Variant {
  return {
    metrics: [{ name: `aggregate/${query.name}`, unit: 'ms', target: ratioAtMost(query.citusRatio) }],
    verify: async () => differenceOf(await bed.plain.pool(1).query(query.sql), await bed.cluster.pool(1).query(query.sql), { ordered: query.ordered }),
    warm: true,
    measure: async (side) => {
      const operation = (): Promise<unknown> => side.pool(1).query(query.sql);
      return [(await runClients({ clients: 1, durationMs: bed.pace.measureMs, operation })).medianMs];
    },
  };
}

const rangeRows = 100;
const rangeSql = 'SELECT id, company_id, cost FROM clicks WHERE id BETWEEN $1 AND $2 ORDER BY id';

function range(bed: TestBed, { clients, atLeast }: { readonly clients: number; readonly atLeast: number }): Variant {
  return {
    metrics: [{ name: `aggregate/range-100-rows-${clients}`, unit: 'ops/s', target: ratioAtLeast(atLeast) }],
    measure: async (side) => {
      const pool = side.pool(clients);
      const operation = async (sequence: number): Promise<void> => {
        const from = Math.min(randomClick(bed.rows, sequence).id, bed.rows.size.clicks - rangeRows + 1);
        const { rowCount } = await pool.query({ name: 'range', text: rangeSql, values: [from, from + rangeRows - 1] });
        if (rowCount !== rangeRows) throw new Error(`expected ${rangeRows} rows, got ${String(rowCount)}`);
      };
      return [(await runClients({ clients, durationMs: bed.pace.measureMs, operation })).operationsPerSecond];
    },
  };
}

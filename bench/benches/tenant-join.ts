import type { Bench, Variant } from '../harness/bench.ts';
import { runClients } from '../harness/run-clients.ts';
import { ratioAtLeast } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';

const query = {
  name: 'tenant-join',
  text: `SELECT a.campaign_id, count(*) AS clicks, sum(c.cost) AS cost
         FROM ads a JOIN clicks c ON c.company_id = a.company_id AND c.ad_id = a.id
         WHERE a.company_id = $1 GROUP BY a.campaign_id ORDER BY cost DESC, a.campaign_id LIMIT 10`,
};

/** A join and an aggregate within one tenant, which one shard group answers. Tenants from the middle of the range of sizes. */
export const tenantJoin: Bench = {
  name: 'tenant-join',
  about: 'a join and an aggregate of one tenant, 1 and 8 clients',
  variants: (bed) => [joinVariant(bed, 1, 0.69), joinVariant(bed, 8, 0.75)],
};

function joinVariant(bed: TestBed, clients: number, citusRatio: number): Variant {
  const { companies } = bed.rows.size;
  return {
    metrics: [{ name: `tenant-join/${clients}`, unit: 'ops/s', target: ratioAtLeast(citusRatio) }],
    measure: async (side) => {
      const pool = side.pool(clients);
      const operation = (sequence: number): Promise<unknown> =>
        pool.query({ ...query, values: [Math.floor(companies / 4) + (sequence % Math.ceil(companies / 2))] });
      return [(await runClients({ clients, durationMs: bed.pace.measureMs, operation })).operationsPerSecond];
    },
  };
}

import type { Bench } from '../harness/bench.ts';
import { valueAtMost } from '../harness/targets.ts';

/** `createDistributedTable` of an empty table as a migration would make it: 32 shards on three nodes, with a key, an index and defaults. */
export const distribute: Bench = {
  name: 'distribute',
  about: 'createDistributedTable() of an empty table, 32 shards on three nodes',
  ownTables: true,
  variants: ({ shardwright }) => [
    {
      metrics: [{ name: 'distribute/empty', unit: 'ms', target: valueAtMost(300, 'ms') }],
      clusterOnly: true,
      measure: async () => {
        await shardwright.query(`CREATE TABLE bench_empty (tenant_id bigint, id bigint GENERATED ALWAYS AS IDENTITY, name text NOT NULL, total numeric DEFAULT 0, made timestamptz DEFAULT now(),
          PRIMARY KEY (tenant_id, id)); CREATE INDEX ON bench_empty (name)`);
        const start = performance.now();
        await shardwright.createDistributedTable('bench_empty', 'tenant_id');
        const ms = performance.now() - start;
        await shardwright.dropTable('bench_empty');
        return [ms];
      },
    },
  ],
};

import { Client } from 'pg';
import { Cluster } from '../../src/index.ts';
import { assert } from '../../src/base/assert.ts';
import type { Bench } from '../harness/bench.ts';
import { valueAtMost } from '../harness/targets.ts';

const tables = 1_000;

/** A process that starts: it reads the catalog, of a thousand tables in one colocation group, and answers its first query. */
export const boot: Bench = {
  name: 'boot',
  about: 'first query of a process where 1 000 tables are distributed',
  ownTables: true,
  variants: (bed) => [
    {
      metrics: [{ name: `boot/${tables}-tables`, unit: 'ms', target: valueAtMost(200, 'ms') }],
      clusterOnly: true,
      prepare: async () => {
        await bed.shardwright.query('CREATE SCHEMA bench_boot; CREATE TABLE bench_boot.first (tenant_id bigint, id bigint, name text NOT NULL, made timestamptz DEFAULT now(), PRIMARY KEY (tenant_id, id))');
        await bed.shardwright.createDistributedTable('bench_boot.first', 'tenant_id', { colocateWith: 'none' });
        await onCoordinator(bed.cluster.connectionString, fill);
        assert((await bed.shardwright.tables()).length >= tables, 'tables are missing');
      },
      measure: async ({ connectionString }) => {
        const start = performance.now();
        const cluster = new Cluster({ connectionString, recoveryIntervalMs: 0 });
        await cluster.query('SELECT name FROM bench_boot.first WHERE tenant_id = 1');
        const ms = performance.now() - start;
        await cluster.end();
        return [ms];
      },
      cleanUp: async () => {
        await onCoordinator(bed.cluster.connectionString, empty);
        await bed.shardwright.dropTable('bench_boot.first');
        await bed.shardwright.query('DROP SCHEMA bench_boot');
      },
    },
  ],
};

/** Shells and their rows in the catalog: who starts reads nothing of the shards. */
const fill = `
DO $$ BEGIN FOR i IN 2..${tables} LOOP EXECUTE format('CREATE TABLE bench_boot.t%s (LIKE bench_boot.first INCLUDING ALL)', i); END LOOP; END $$;
INSERT INTO shardwright.distributed_table (relation, kind, distribution_attnum, colocation_id)
SELECT c.oid, t.kind, t.distribution_attnum, t.colocation_id FROM pg_class c, shardwright.distributed_table t
WHERE c.relnamespace = 'bench_boot'::regnamespace AND c.relkind = 'r' AND t.relation = 'bench_boot.first'::regclass AND c.oid <> t.relation;
INSERT INTO shardwright.shard (relation, shard_group_id)
SELECT t.relation, s.shard_group_id FROM shardwright.distributed_table t JOIN pg_class c ON c.oid = t.relation, shardwright.shard s
WHERE c.relnamespace = 'bench_boot'::regnamespace AND s.relation = 'bench_boot.first'::regclass AND t.relation <> s.relation;
UPDATE shardwright.cluster SET catalog_version = catalog_version + 1;
ANALYZE shardwright.shard; ANALYZE pg_attribute`;

const empty = `
DELETE FROM shardwright.distributed_table t USING pg_class c WHERE c.oid = t.relation AND c.relnamespace = 'bench_boot'::regnamespace AND c.relname <> 'first';
DO $$ BEGIN FOR i IN 2..${tables} LOOP EXECUTE format('DROP TABLE bench_boot.t%s', i); END LOOP; END $$;
UPDATE shardwright.cluster SET catalog_version = catalog_version + 1`;

/** One transaction for each of the statements: a thousand tables need more locks than one may hold. */
async function onCoordinator(connectionString: string, text: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    for (const statement of text.split(/;\n(?!\s)/)) await client.query(statement.replaceAll('END LOOP;', 'COMMIT; END LOOP;'));
  } finally {
    await client.end();
  }
}

import { Client, Pool } from 'pg';
import type { Bench, Variant } from '../harness/bench.ts';
import type { Queryable, Side } from '../harness/side.ts';
import { valueAtMost } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';

const clients = 32;
const sql = 'SELECT country_code, count(*) FROM clicks GROUP BY country_code';
const plainName = 'bench-connections';

/** Server connections that stand after 32 clients ran one fan-out query at once, over all servers of a side. */
export const connections: Bench = {
  name: 'connections',
  about: 'server connections that 32 clients of one fan-out query open',
  variants: (bed) => [connectionsVariant(bed)],
};

function connectionsVariant(bed: TestBed): Variant {
  return {
    metrics: [{ name: `connections/${clients}`, unit: 'connections', target: valueAtMost(bed.connectionsMax, '') }],
    warm: true,
    costly: true,
    measure: (side) => (side.kind === 'plain' ? measurePlain(side) : measureCluster(bed)),
  };
}

/** A pool of its own, told apart from the other benches' by its application name. */
async function measurePlain(side: Side): Promise<readonly number[]> {
  const pool = new Pool({ connectionString: side.connectionString, max: clients, application_name: plainName });
  try {
    await runAtOnce(pool);
    return [await countConnections([side.connectionString], plainName)];
  } finally {
    await pool.end();
  }
}

/** The cluster is the only client of its servers, so that all of their connections are its. */
async function measureCluster(bed: TestBed): Promise<readonly number[]> {
  await runAtOnce(bed.cluster.pool(clients));
  return [await countConnections([bed.cluster.connectionString, ...bed.nodeConnectionStrings], '%')];
}

async function runAtOnce(pool: Queryable): Promise<void> {
  await Promise.all(Array.from({ length: clients }, () => pool.query(sql)));
}

async function countConnections(connectionStrings: readonly string[], applicationName: string): Promise<number> {
  const counts = await Promise.all(connectionStrings.map((connectionString) => countOn(connectionString, applicationName)));
  return counts.reduce((left, right) => left + right, 0);
}

async function countOn(connectionString: string, applicationName: string): Promise<number> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ open: number }>(
      `SELECT count(*)::int AS open FROM pg_stat_activity
       WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name LIKE $1`,
      [applicationName],
    );
    return rows[0]?.open ?? 0;
  } finally {
    await client.end();
  }
}

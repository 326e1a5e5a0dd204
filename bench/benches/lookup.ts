import { Client } from 'pg';
import type { Bench, Medians, Target } from '../harness/bench.ts';
import { runClients } from '../harness/run-clients.ts';
import type { Side } from '../harness/side.ts';
import type { TestBed } from '../harness/test-bed.ts';
import { randomClick } from './random-click.ts';

const query = { name: 'lookup', text: 'SELECT * FROM clicks WHERE id = $1' };

/** One row by an index that does not have the distribution column, so that every shard must be asked. */
export const lookup: Bench = {
  name: 'lookup',
  about: 'one row by an indexed column that is not the distribution column',
  variants: (bed) => [
    {
      metrics: [
        { name: 'lookup/all-shards', unit: 'ms', target: boundByRoundTrips(bed.nodeConnectionStrings.length) },
        { name: 'lookup/round-trip', unit: 'ms' },
      ],
      measure: async (side) => [await lookUp(bed, side), await roundTrip(bed, side)],
    },
  ],
};

/** Twice plain's time, since half of the work is done per node, and one round trip for each node. */
function boundByRoundTrips(nodes: number): Target {
  return {
    text: `≤ 2 plain + ${nodes} trips`,
    met: ({ plain, cluster }: Medians, all) => {
      const trip = all.get('lookup/round-trip')?.cluster;
      return plain === undefined || cluster === undefined || trip === undefined ? undefined : cluster <= 2 * plain + nodes * trip;
    },
  };
}

async function lookUp(bed: TestBed, side: Side): Promise<number> {
  const pool = side.pool(1);
  const operation = async (sequence: number): Promise<void> => {
    const { id } = randomClick(bed.rows, sequence);
    const { rowCount } = await pool.query({ ...query, values: [id] });
    if (rowCount !== 1) throw new Error(`expected one row for click ${id}, got ${String(rowCount)}`);
  };
  return (await runClients({ clients: 1, durationMs: bed.pace.measureMs, operation })).medianMs;
}

/** `SELECT 1`, prepared, straight to a server: to plain, or to a node of the cluster. */
async function roundTrip(bed: TestBed, side: Side): Promise<number> {
  const connectionString = side.kind === 'plain' ? side.connectionString : (bed.nodeConnectionStrings[0] ?? side.connectionString);
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const operation = (): Promise<unknown> => client.query({ name: 'trip', text: 'SELECT 1' });
    return (await runClients({ clients: 1, durationMs: bed.pace.measureMs / 4, operation })).medianMs;
  } finally {
    await client.end();
  }
}

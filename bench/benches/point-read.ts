import type { Bench, Variant } from '../harness/bench.ts';
import { runClients } from '../harness/run-clients.ts';
import type { Side } from '../harness/side.ts';
import { ratioAtLeast, ratioAtMost } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';
import { randomClick } from './random-click.ts';

const query = { name: 'point-read', text: 'SELECT * FROM clicks WHERE company_id = $1 AND id = $2' };

/** One row by tenant and id, by a prepared statement. */
export const pointRead: Bench = {
  name: 'point-read',
  about: 'one row by tenant and id, prepared, 1 and 32 clients',
  variants: (bed) => [oneClient(bed), manyClients(bed, 32)],
};

function oneClient(bed: TestBed): Variant {
  return {
    metrics: [
      { name: 'point-read/1', unit: 'ms', target: ratioAtMost(1.15) },
      { name: 'point-read/1-throughput', unit: 'ops/s' },
    ],
    measure: async (side) => {
      const { medianMs, operationsPerSecond } = await read(bed, side, 1);
      return [medianMs, operationsPerSecond];
    },
  };
}

function manyClients(bed: TestBed, clients: number): Variant {
  return {
    metrics: [{ name: `point-read/${clients}`, unit: 'ops/s', target: ratioAtLeast(1) }],
    measure: async (side) => [(await read(bed, side, clients)).operationsPerSecond],
  };
}

function read(bed: TestBed, side: Side, clients: number): ReturnType<typeof runClients> {
  const pool = side.pool(clients);
  const operation = async (sequence: number): Promise<void> => {
    const { company, id } = randomClick(bed.rows, sequence);
    const { rowCount } = await pool.query({ ...query, values: [company, id] });
    if (rowCount !== 1) throw new Error(`expected one row for click ${id}, got ${String(rowCount)}`);
  };
  return runClients({ clients, durationMs: bed.pace.measureMs, operation });
}

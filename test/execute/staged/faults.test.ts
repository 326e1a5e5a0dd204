import { afterEach, beforeAll, afterAll, expect, test, vi } from 'vitest';
import { ExclusiveConnection } from '../../../src/cluster/exclusive-connection.ts';
import type { Cluster } from '../../../src/index.ts';
import { type StagedCluster, startStaged, terminate } from './start-staged.ts';

let pair: StagedCluster;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startStaged();
  cluster = pair.another({ tuning: { batchRows: 1_000 } });
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
afterEach(() => vi.restoreAllMocks());

/** Two results in temporary tables on all nodes, one of them made from the other, and a last query over them. */
const sql = `SELECT count(*) AS n, sum(o.total) AS s FROM orders o WHERE o.id IN (SELECT id + 1 FROM orders ORDER BY id OFFSET 30)
  AND o.total < (SELECT max(b.total) FROM orders a JOIN orders b ON a.id = b.total)`;

test.each(['abort', 'lost connection'] as const)('%s at each step of a query in stages', async (fault) => {
  const expected = (await pair.plain.query(sql)).rows;
  expect((await cluster.query(sql)).rows).toEqual(expected);
  let steps = 0;
  for (let at = 1; ; at += fault === 'abort' ? 1 : 3) {
    const outcome = await queryWithFault({ fault, at });
    if (outcome.steps < at) break;
    steps = at;
    if (outcome.error === undefined) expect(outcome.rows, `step ${at}`).toEqual(expected);
    else if (fault === 'abort') expect(outcome.error, `step ${at}`).toMatchObject({ code: '57014' });
    else expect(['57P01', '08006', '08001'], `step ${at}`).toContain(Reflect.get(outcome.error, 'code'));
    expect(await pair.remains(), `after step ${at}`).toEqual([]);
    expect(cluster.connectionCounts().filter(({ open, idle }) => open !== idle), `after step ${at}`).toEqual([]);
  }
  // Until a run met no fault: cursors, batches, tables, COPY, the last query.
  expect(steps).toBeGreaterThan(30);
  expect((await cluster.query(sql)).rows).toEqual(expected);
}, 120_000);

test.each([0, 1, 600])('a stream that is left after %i rows', async (rows) => {
  let seen = 0;
  for await (const _ of cluster.stream('SELECT o.id FROM orders o WHERE o.id IN (SELECT id FROM orders ORDER BY id OFFSET 30)', [], { batchRows: 100 })) {
    if (seen === rows) break;
    seen += 1;
  }
  expect(await pair.remains()).toEqual([]);
  expect(cluster.connectionCounts().filter(({ open, idle }) => open !== idle)).toEqual([]);
});

interface Fault {
  readonly fault: 'abort' | 'lost connection';
  readonly at: number;
}

interface Outcome {
  readonly error: object | undefined;
  readonly rows: unknown;
  readonly steps: number;
}

/** The fault strikes when the statement asks a server for the `at`th time. */
async function queryWithFault({ fault, at }: Fault): Promise<Outcome> {
  const controller = new AbortController();
  let steps = 0;
  let struck: Promise<void> | undefined;
  const strike = (connection: ExclusiveConnection): void => {
    steps += 1;
    if (steps !== at) return;
    if (fault === 'abort') controller.abort();
    else struck = terminate(pair.databases, connection);
  };
  const query = Reflect.get(ExclusiveConnection.prototype, 'query');
  const copyIn = Reflect.get(ExclusiveConnection.prototype, 'copyIn');
  vi.spyOn(ExclusiveConnection.prototype, 'query').mockImplementation(function step(this: ExclusiveConnection, ...call) {
    strike(this);
    return query.apply(this, call);
  });
  vi.spyOn(ExclusiveConnection.prototype, 'copyIn').mockImplementation(function step(this: ExclusiveConnection, ...call) {
    strike(this);
    return copyIn.apply(this, call);
  });
  try {
    const { rows } = await cluster.query({ text: sql, signal: controller.signal } as { text: string });
    return { error: undefined, rows, steps };
  } catch (error) {
    return { error: error as object, rows: undefined, steps };
  } finally {
    await struck;
    vi.restoreAllMocks();
  }
}

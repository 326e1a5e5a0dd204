import { Client } from 'pg';
import { assert, at } from '../../src/base/assert.ts';
import type { Bench } from '../harness/bench.ts';
import { valueAtMost } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';

const inDoubt = 1_000;

/** What a process left that died in a thousand commits over two nodes: half are decided, half are not. */
export const recovery: Bench = {
  name: 'recovery',
  about: 'recover() of 1 000 transactions in doubt',
  ownTables: true,
  variants: (bed) => [
    {
      metrics: [{ name: 'recovery/1000-in-doubt', unit: 'ms', target: valueAtMost(5_000, 'ms') }],
      clusterOnly: true,
      costly: true,
      measure: async () => {
        await leaveInDoubt(bed);
        const start = performance.now();
        const { committed, rolledBack } = await bed.shardwright.recover();
        const ms = performance.now() - start;
        assert(committed.length === inDoubt / 2 && rolledBack.length === inDoubt / 2, `${committed.length} were committed, ${rolledBack.length} rolled back`);
        return [ms];
      },
    },
  ],
};

/** Each is prepared on one of two nodes; the other one decides. */
async function leaveInDoubt({ shardwright }: TestBed): Promise<void> {
  const round = Date.now();
  const { rows } = await shardwright.query<{ name: string }>(`SELECT left(replace(id::text, '-', ''), 8) AS name FROM shardwright.cluster`);
  const nodes = (await shardwright.nodes()).slice(0, 2);
  const clients = nodes.map(({ host, port, database }) => new Client({ host, port, database, user: 'postgres' }));
  await Promise.all(clients.map((client) => client.connect()));
  await Promise.all(clients.map((client) => client.query('CREATE TABLE IF NOT EXISTS bench_in_doubt (a int)')));
  const perNode = inDoubt / nodes.length;
  await Promise.all(nodes.map(async (node, which) => {
    const decider = at(nodes, 1 - which);
    const idOf = (i: number): string => `bench${round}x${node.id}x${i}`;
    for (let i = 0; i < perNode; i += 1) {
      await at(clients, which).query(`BEGIN; INSERT INTO bench_in_doubt VALUES (${i}); PREPARE TRANSACTION 'shardwright:${at(rows, 0).name}:${decider.id}:${idOf(i)}:${node.id}'`);
    }
    const decided = Array.from({ length: perNode / 2 }, (_, i) => `('${idOf(i)}', 'commit')`);
    await at(clients, 1 - which).query(`INSERT INTO shardwright.decision (transaction_id, outcome) VALUES ${decided.join(', ')}`);
  }));
  await Promise.all(clients.map((client) => client.end()));
}

import { Client } from 'pg';
import { at } from '../../src/base/assert.ts';
import { nodeId } from '../../src/catalog/ids.ts';
import { lsnText } from '../../src/cluster/lsn.ts';
import { createNodePools } from '../../src/cluster/node-pools.ts';
import { ChangeFeed } from '../../src/move/change-feed.ts';
import { rateLimit } from '../../src/move/rate-limit.ts';
import type { TestBed } from '../harness/test-bed.ts';

const definition = 'CREATE TABLE bench_feed (tenant_id bigint, id bigint, counter int NOT NULL, made timestamptz NOT NULL, note text NOT NULL, PRIMARY KEY (tenant_id, id))';
/** One transaction: as many rows changed as added, none twice. */
const transaction = [
  { name: 'add', text: `INSERT INTO bench_feed SELECT $1, i, 0, now(), md5(i::text) FROM generate_series(1, 50) i` },
  { name: 'change', text: 'UPDATE bench_feed SET counter = counter + 1 WHERE tenant_id = $1 AND id <= 0' },
] as const;
const changesPerTransaction = 100;

/** Seconds that the feed of a move takes for so many changes, which wait for it in a slot: decoded by one node, applied on another. Each transaction changes a hundred rows. */
export async function applyBacklog({ nodeConnectionStrings }: TestBed, changes: number): Promise<number> {
  const ends = [0, 1].map((i) => ({ id: nodeId(i + 1), connectionString: at(nodeConnectionStrings, i) }));
  const clients = await Promise.all(ends.map(({ connectionString }) => new Client({ connectionString }).connect()));
  const pools = createNodePools(ends.map(({ id, connectionString }) => ({ id, name: `node ${id}`, config: { client: { connectionString } } })));
  const [source, target] = [pools.get(at(ends, 0).id), pools.get(at(ends, 1).id)];
  try {
    for (const client of clients) await client.query(`DROP TABLE IF EXISTS bench_feed; ${definition}`);
    const before = `INSERT INTO bench_feed SELECT t, 1 - i, 0, now(), md5(i::text) FROM generate_series(0, ${changes / changesPerTransaction}) t, generate_series(1, 50) i`;
    for (const client of clients) await client.query(before);
    await at(clients, 0).query('DROP PUBLICATION IF EXISTS bench_feed; CREATE PUBLICATION bench_feed FOR TABLE bench_feed');
    await at(clients, 1).query('DROP TABLE IF EXISTS bench_feed_position; CREATE TABLE bench_feed_position (source integer PRIMARY KEY, lsn pg_lsn NOT NULL)');
    const replication = await source.replicate();
    const { consistentPoint } = await replication.createSlot('bench_feed');
    await replication.end();
    await at(clients, 1).query('INSERT INTO bench_feed_position VALUES (1, $1)', [lsnText(consistentPoint)]);
    for (let i = 0; i < changes / changesPerTransaction; i += 1) {
      await at(clients, 0).query('BEGIN');
      for (const statement of transaction) await at(clients, 0).query({ ...statement, values: [i] });
      await at(clients, 0).query('COMMIT');
    }
    const start = performance.now();
    const feed = await ChangeFeed.start({
      source, slot: 'bench_feed', publication: 'bench_feed',
      sinks: [{ node: target, source: at(ends, 0).id, position: 'public.bench_feed_position', tables: [feedTable], rate: rateLimit(undefined) }],
    }, new AbortController().signal);
    await feed.drain();
    const seconds = (performance.now() - start) / 1000;
    await feed.end();
    return seconds;
  } finally {
    await at(clients, 0).query(`SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots WHERE slot_name = 'bench_feed' AND active_pid IS NOT NULL`);
    await at(clients, 0).query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'bench_feed'; DROP PUBLICATION IF EXISTS bench_feed`);
    for (const client of clients) {
      await client.query('DROP TABLE IF EXISTS bench_feed, bench_feed_position');
      await client.end();
    }
    await pools.end();
  }
}

const types = { tenant_id: 'bigint', id: 'bigint', counter: 'integer', made: 'timestamp with time zone', note: 'text' } as const;
const feedTable = {
  schema: 'public', name: 'bench_feed', targets: ['public.bench_feed'],
  columns: Object.entries(types).map(([name, type]) => ({ name, type, generated: null, typeKind: 'b' as const })),
};

import { setTimeout as delay } from 'node:timers/promises';
import { at, present } from '../../src/base/assert.ts';
import type { Bench, Variant } from '../harness/bench.ts';
import { runChild } from '../harness/run-child.ts';
import { quantile } from '../harness/statistics.ts';
import { startPostgres } from '../../src/embedded.ts';
import { valueAtLeast, valueAtMost } from '../harness/targets.ts';
import type { Queryable } from '../harness/side.ts';
import type { TestBed } from '../harness/test-bed.ts';
import { applyBacklog } from '../moves/backlog.ts';
import { bareCopy } from '../moves/bare-copy.ts';
import { makeMovedTable, makePlainTable, type MovedTable, type PlainTable, whereToMove } from '../moves/moved-table.ts';
import { p99, startPacedWriter } from '../moves/paced-writer.ts';

/** Shards that move while the application writes to them. A quick run moves a tenth of the bytes; its aims in seconds are those of the whole. */
export const move: Bench = {
  name: 'move',
  about: 'moving shards under a writer: time, stalls, a split, catching up, rebalancing, memory',
  ownTables: true,
  variants: (bed) => [empty(bed), stalls(bed), large(bed), split(bed), catchUp(bed), rebalance(bed)],
};

const sizeOf = ({ rows }: TestBed, bytes: number): number => (rows.size.clicks < 1_000_000 ? bytes / 10 : bytes);

function empty(bed: TestBed): Variant {
  let moved: MovedTable;
  return {
    metrics: [{ name: 'move/near-empty', unit: 'ms', target: valueAtMost(300, 'ms') }],
    clusterOnly: true,
    prepare: async () => {
      moved = await makeMovedTable(bed, { table: 'bench_near_empty', shards: 3, shardBytes: 10_000 });
    },
    measure: async () => {
      const { shardId } = at(moved.shards, 0);
      const { to } = await whereToMove(bed.shardwright, shardId);
      const start = performance.now();
      await bed.shardwright.moveShardGroup(shardId, { to });
      return [performance.now() - start];
    },
    cleanUp: () => bed.shardwright.dropTable('bench_near_empty'),
  };
}

const movesWatched = 50;

/**
 * The longest time that a writer waited, of each of fifty moves; and what writers to another shard of the same node saw, as a multiple of what they see without a move. Plain: the same while a table's rows are copied, indexed
 * and hashed by hand, without anything that a writer has to wait for. All servers share the machine's processors with the writers: more than that is what moving adds.
 */
function stalls(bed: TestBed): Variant {
  const shardBytes = 10_000_000;
  let moved: MovedTable;
  let [copied, beside]: PlainTable[] = [];
  return {
    metrics: [
      { name: 'move/stall-p50', unit: 'ms', target: valueAtMost(10, 'ms') },
      { name: 'move/stall-p99', unit: 'ms', target: valueAtMost(50, 'ms') },
      { name: 'move/others-p99', unit: '×', target: valueAtMost(1, '×') },
    ],
    costly: true,
    warm: true,
    prepare: async () => {
      moved = await makeMovedTable(bed, { table: 'bench_stalls', shards: 6, shardBytes });
      copied = await makePlainTable(bed, 'bench_stalls', shardBytes);
      beside = await makePlainTable(bed, 'bench_stalls_beside', shardBytes);
    },
    measure: async (side) => {
      const database = side.pool(2);
      if (side.kind === 'plain') return watchWriters(bed, [present(copied), present(beside)].map((written) => ({ database, written })), () => bareCopy({ from: side.connectionString, to: at(bed.nodeConnectionStrings, 0), table: 'bench_stalls' }));
      const { shardId, nodeId, tenants } = at(moved.shards, 0);
      const other = present(moved.shards.slice(1).find((shard) => shard.nodeId === nodeId), 'another shard of the node');
      return watchWriters(bed, [tenants, other.tenants].map((list) => ({ database, written: { ...moved, tenants: list } })), async () => {
        const { to } = await whereToMove(bed.shardwright, shardId);
        await bed.shardwright.moveShardGroup(shardId, { to });
      });
    },
    cleanUp: () => bed.shardwright.dropTable('bench_stalls'),
  };
}

/** The quantiles of what the first writer waited for at the longest, each time, and the second one's p99 by that without it. */
async function watchWriters({ pace }: TestBed, of: readonly { readonly database: Queryable; readonly written: PlainTable }[], work: () => Promise<void>): Promise<number[]> {
  const [writer, others] = of.map(({ database, written }) => startPacedWriter(database, written));
  if (writer === undefined || others === undefined) throw new Error('no writers');
  await delay(pace.measureMs * 4);
  const calm = p99(others.take());
  const longest: number[] = [];
  const seen: number[] = [];
  for (let i = 0; i < (pace.measureMs < 1000 ? movesWatched / 5 : movesWatched); i += 1) {
    writer.take();
    others.take();
    await work();
    // Whoever waits in this moment is counted too.
    await delay(20);
    longest.push(Math.max(...writer.take()));
    seen.push(...others.take());
  }
  await Promise.all([writer.stop(), others.stop()]);
  return [quantile(longest, 0.5), quantile(longest, 0.99), p99(seen) / calm];
}

/** One gigabyte, by a process of its own, while another writes to it: the writer's plans are old when the shard has gone. Plain: as many bytes copied by hand. */
function large(bed: TestBed): Variant {
  let moved: MovedTable;
  let copied: PlainTable | undefined;
  const bytes = sizeOf(bed, 1_000_000_000);
  return {
    metrics: [
      { name: 'move/1-gb', unit: 'ms', target: valueAtMost(10_500 * (bytes / 1e9), 'ms') },
      { name: 'move/1-gb-rate', unit: 'MB/s' },
      { name: 'move/1-gb-stall', unit: 'ms', target: valueAtMost(72, 'ms') },
      { name: 'move/1-gb-rss', unit: 'MB', target: valueAtMost(150, 'MB') },
    ],
    costly: true,
    warm: true,
    prepare: async () => {
      moved = await makeMovedTable(bed, { table: 'bench_large', shards: 1, shardBytes: bytes });
      copied = await makePlainTable(bed, 'bench_large', bytes);
    },
    measure: async (side) => {
      const { shardId, tenants } = at(moved.shards, 0);
      const { to } = await whereToMove(bed.shardwright, shardId);
      const task = { side: side.kind, connectionString: side.connectionString, sql: '' } as const;
      const writer = startPacedWriter(side.pool(1), side.kind === 'plain' ? present(copied) : { ...moved, tenants });
      const { totalMs, peakMB } = await runChild(bed, side.kind === 'plain'
        ? { ...task, kind: 'bare_copy', bareCopy: { from: side.connectionString, to: at(bed.nodeConnectionStrings, 0), table: 'bench_large' } }
        : { ...task, kind: 'move', move: { shardId, to } });
      const stall = Math.max(...writer.take());
      await writer.stop();
      return [totalMs, bytes / 1e3 / totalMs, stall, peakMB];
    },
    cleanUp: () => bed.shardwright.dropTable('bench_large'),
  };
}

/** A gigabyte into two, one of them staying, while all of it is updated; then one again. */
function split(bed: TestBed): Variant {
  let moved: MovedTable;
  const bytes = sizeOf(bed, 1_000_000_000);
  return {
    metrics: [
      { name: 'move/split-1-gb', unit: 'ms', target: valueAtMost(15_000 * (bytes / 1e9), 'ms') },
      { name: 'move/split-1-gb-stall', unit: 'ms', target: valueAtMost(127, 'ms') },
    ],
    clusterOnly: true,
    costly: true,
    warm: true,
    prepare: async () => {
      moved = await makeMovedTable(bed, { table: 'bench_split', shards: 1, shardBytes: bytes });
    },
    measure: async () => {
      const cluster = bed.shardwright;
      const { shardId, nodeId } = at((await cluster.shards()).filter(({ table }) => table === moved.table), 0);
      const { to } = await whereToMove(cluster, shardId);
      const writer = startPacedWriter(cluster, { table: moved.table, tenants: at(moved.shards, 0).tenants, rowsPerTenant: moved.rowsPerTenant });
      const start = performance.now();
      await cluster.splitShardGroup(shardId, { into: 2, nodes: [nodeId, to] });
      const ms = performance.now() - start;
      const stall = Math.max(...writer.take());
      await writer.stop();
      const [first, second] = (await cluster.shards()).filter(({ table }) => table === moved.table).map((shard) => shard.shardId);
      await cluster.mergeShardGroups(present(first, 'first part'), present(second, 'second part'));
      return [ms, stall];
    },
    cleanUp: () => bed.shardwright.dropTable('bench_split'),
  };
}

function catchUp(bed: TestBed): Variant {
  const changes = sizeOf(bed, 400_000);
  return {
    metrics: [{ name: 'move/catch-up', unit: 'changes/s', target: valueAtLeast(40_000, 'changes/s') }],
    clusterOnly: true,
    costly: true,
    warm: true,
    measure: async () => [changes / (await applyBacklog(bed, changes))],
  };
}

const movesExpected = 11;
/** Three nodes with fifteen shards each want eleven on each of four. */
const shardsSpread = 44;

/** Onto an empty fourth node. */
function rebalance(bed: TestBed): Variant {
  const bytes = sizeOf(bed, 600_000_000);
  return {
    metrics: [{ name: 'move/rebalance-11-moves', unit: 'ms', target: valueAtMost(25_000, 'ms') }],
    clusterOnly: true,
    costly: true,
    warm: true,
    prepare: async () => {
      await makeMovedTable(bed, { table: 'bench_spread', shards: shardsSpread, shardBytes: bytes / movesExpected });
      const added = await startPostgres({ major: 18, settings: { shared_buffers: '512MB', max_wal_size: '4GB', max_prepared_transactions: '600' } });
      bed.atEnd(() => added.stop());
      await bed.shardwright.addNode(added.connectionString);
    },
    measure: async () => {
      const start = performance.now();
      const moves = await bed.shardwright.rebalance({ strategy: 'by_shard_count', threshold: 0 });
      const ms = performance.now() - start;
      if (moves.length !== movesExpected) throw new Error(`${moves.length} shard groups were moved`);
      const added = at((await bed.shardwright.nodes()).toSorted((a, b) => b.id - a.id), 0);
      await bed.shardwright.drainNode(added.id, { strategy: 'by_shard_count' });
      return [ms];
    },
    cleanUp: () => bed.shardwright.dropTable('bench_spread'),
  };
}

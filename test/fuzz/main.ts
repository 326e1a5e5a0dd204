import { parseArgs } from 'node:util';
import { Pool } from 'pg';
import type { PostgresMajor } from '../../src/embedded.ts';
import { Cluster } from '../../src/index.ts';
import { dataSeed } from '../oracle/data-seed.ts';
import { FakeCluster } from '../oracle/fake-cluster.ts';
import { loadPair } from '../oracle/load-pair.ts';
import { fuzz, summarize } from './fuzz.ts';
import { plainHunting } from './hunt.ts';
import { installRandom, installTypes } from './wide/install-schema.ts';
import { wideHunting } from './wide/wide-hunting.ts';
import { startPlaces } from './start-places.ts';

const usage = 'usage: npm run fuzz -- [--seed N] [--seconds S] [--nodes 3] [--shards 7] [--major 18] [--stop-after 10] [--batch-rows 256] [--single-shard tenants|all] [--wide [--schema N]] [--writes] [--plain]';

/** Random statements on a cluster and on one plain PostgreSQL until the time is up; exit code 1 when any differed. */
async function main(): Promise<number> {
  const options = readOptions();
  await using started = await startPlaces(options.major, options.plain ? 0 : options.nodes);
  const makeCluster = (settings: { connectionString: string }): Cluster | FakeCluster => (options.plain ? new FakeCluster(settings) : new Cluster(settings));
  const tuning = options.batchRows === 0 ? {} : { options: { tuning: { batchRows: options.batchRows } } };
  await installTypes([started.places.plain, started.places.coordinator, ...started.places.nodes]);
  const loaded = await loadPair(started.places, { seed: dataSeed, shardCount: options.shards, singleShard: options.singleShard, ...tuning }, makeCluster);
  try {
    const opened: { end(): Promise<void> }[] = [];
    const now = (): number => performance.now();
    try {
      const keep = <T extends { end(): Promise<void> }>(made: T): T => {
        opened.push(made);
        return made;
      };
      const hunting = options.wide ? wideHunting({
        make: (settings) => keep(makeCluster({ connectionString: started.places.coordinator.connectionString, ...settings })),
        makePlain: (settings) => keep(new Pool({ connectionString: started.places.plain.connectionString, ...settings })),
        now,
        major: options.major,
        tables: await installRandom({ plain: loaded.pair.plain, coordinator: started.places.coordinator, nodes: started.places.nodes, cluster: loaded.cluster, seed: options.schema }),
      }) : options.writes ? { ...plainHunting(loaded.pair), reads: 0 } : undefined;
      const counts = await fuzz(loaded.pair, { ...options, print: (line) => console.log(line), now, ...(hunting === undefined ? {} : { hunting }) });
      console.log(summarize(counts, options));
      return counts.differences === 0 ? 0 : 1;
    } finally {
      for (const made of opened) await made.end();
    }
  } finally {
    await loaded.end();
  }
}

function readOptions(): { seed: number; seconds: number; nodes: number; shards: number; major: PostgresMajor; stopAfter: number; batchRows: number; plain: boolean; wide: boolean; schema: number; writes: boolean; singleShard: 'tenants' | 'all' | undefined } {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { seed: text, seconds: text, nodes: text, shards: text, major: text, 'stop-after': text, 'batch-rows': text, plain: { type: 'boolean' }, wide: { type: 'boolean' }, 'single-shard': text, schema: text, writes: { type: 'boolean' } } });
  const seed = numberOf(values.seed, Math.floor(Math.random() * 1e9));
  const major = majors.find((known) => known === numberOf(values.major, 18));
  if (major === undefined) throw new Error(usage);
  return {
    seed, major, seconds: numberOf(values.seconds, 60), nodes: numberOf(values.nodes, 3), shards: numberOf(values.shards, 7),
    stopAfter: numberOf(values['stop-after'], 10), batchRows: numberOf(values['batch-rows'], 0), plain: values.plain === true, wide: values.wide === true, schema: numberOf(values.schema, 1), writes: values.writes === true,
    singleShard: (['tenants', 'all'] as const).find((known) => known === values['single-shard']),
  };
}

const majors = [15, 16, 17, 18] as const satisfies readonly PostgresMajor[];

function numberOf(text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(usage);
  return value;
}

process.exitCode = await main();

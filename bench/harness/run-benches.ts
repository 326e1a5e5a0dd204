import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { saasRows, saasSize } from '../data/saas-rows.ts';
import type { Bench, MetricResult } from './bench.ts';
import { loadSaas } from './load-saas.ts';
import { measureVariant } from './measure-variant.ts';
import type { BenchOptions } from './options.ts';
import type { Progress } from './progress.ts';
import { clusterSide, plainSide } from './side.ts';
import { startServers, type Servers } from './start-servers.ts';
import type { Pace, TestBed } from './test-bed.ts';
import { vacuumAll } from './vacuum.ts';

const nodes = 3;
const seed = 20_240_101;

export interface BenchRun {
  readonly options: BenchOptions;
  readonly progress: Progress;
  /** Aborting ends the run after the variant being measured; it throws the signal's reason. */
  readonly signal: AbortSignal;
}

/** Starts the servers, loads both sides, runs the benches in order and stops everything again, whatever happens. */
export async function runBenches(benches: readonly Bench[], { options, progress, signal }: BenchRun): Promise<MetricResult[]> {
  await using scratch = await scratchDirectory();
  progress.step(`starting PostgreSQL ${options.major}: one plain, and ${nodes} nodes with a coordinator`);
  await using servers = await startServers({ major: options.major, nodes });
  const rows = saasRows(seed, saasSize(options.quick ? 100_000 : 1_000_000));
  if (benches.some((bench) => bench.ownTables !== true)) await load(servers, { rows, progress });
  const plain = plainSide(servers.plainConnectionString);
  const closers: (() => Promise<unknown>)[] = [() => plain.end()];
  const bed: TestBed = {
    plain,
    cluster: clusterSide(servers.clusterConnectionString, servers.cluster),
    shardwright: servers.cluster,
    nodeConnectionStrings: servers.nodeConnectionStrings,
    connectionsMax: servers.connectionsMax,
    rows,
    tpchScale: options.scale ?? (options.quick ? 0.02 : 0.1),
    pace: paceOf(options),
    directory: scratch.path,
    builtDirectory: import.meta.dirname,
    progress,
    atEnd: (close) => closers.push(close),
  };
  try {
    return await measureAll(benches, bed, { progress, signal });
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

function paceOf({ quick, rounds }: BenchOptions): Pace {
  return { measureMs: quick ? 100 : 1000, rounds: rounds ?? (quick ? 2 : 5), costlyRounds: rounds ?? (quick ? 1 : 5) };
}

async function load(servers: Servers, to: { readonly rows: TestBed['rows']; readonly progress: Progress }): Promise<void> {
  to.progress.step(`loading ${to.rows.size.clicks} clicks of ${to.rows.size.companies} companies on both sides`);
  const targets = { plainConnectionString: servers.plainConnectionString, cluster: servers.cluster };
  await loadSaas(targets, to.rows, (table, count) => to.progress.update(`${table}: ${count} rows`));
  await vacuumAll([servers.plainConnectionString, servers.clusterConnectionString, ...servers.nodeConnectionStrings]);
}

async function measureAll(benches: readonly Bench[], bed: TestBed, { progress, signal }: Omit<BenchRun, 'options'>): Promise<MetricResult[]> {
  const results: MetricResult[] = [];
  for (const bench of benches) {
    for (const variant of bench.variants(bed)) {
      signal.throwIfAborted();
      progress.step(`measuring ${variant.metrics.map((metric) => metric.name).join(', ')}`);
      const { rounds, costlyRounds } = bed.pace;
      results.push(...(await measureVariant(variant, bed, variant.costly === true ? costlyRounds : rounds)));
    }
  }
  return results;
}

async function scratchDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const directory = await mkdtemp(path.join(tmpdir(), 'shardwright-bench-'));
  return { path: directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

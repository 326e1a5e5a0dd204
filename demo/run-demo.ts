import { Pool } from 'pg';
import pc from 'picocolors';
import { saasRows, saasSize } from '../bench/data/saas-rows.ts';
import { vacuumAll } from '../bench/harness/vacuum.ts';
import { demoTables } from './data/demo-tables.ts';
import { loadCluster, loadPlain } from './data/load-tables.ts';
import type { DemoOptions } from './options.ts';
import type { DemoServers } from './servers.ts';
import { duration, heading, wholeNumber } from './terminal/heading.ts';
import { runTour } from './tour/run-tour.ts';
import { shardTable } from './tour/shard-table.ts';
import { tourStops } from './tour/stops.ts';

const seed = 2001;

/** Loads both sides and makes the tour. Returns how many answers differ from the plain server's. */
export async function runDemo(servers: DemoServers, options: DemoOptions, signal: AbortSignal): Promise<number> {
  const saas = saasRows(seed, saasSize(options.clicks));
  await loadBoth(servers, demoTables(options.flights, saas), signal);
  await showShards(servers);
  const plain = new Pool({ connectionString: servers.plainConnectionString });
  try {
    const stops = tourStops(saas.size.companies);
    const differing = await runTour(stops, { plain, cluster: servers.cluster }, signal);
    say(summary(stops.length, differing));
    return differing.length;
  } finally {
    await plain.end();
  }
}

async function loadBoth(servers: DemoServers, tables: ReturnType<typeof demoTables>, signal: AbortSignal): Promise<void> {
  say(heading('Loading one plain PostgreSQL, to compare with'));
  await loadPlain(servers.plainConnectionString, tables, { signal });
  say(heading('Loading the cluster, by COPY through the coordinator in this process'));
  await loadCluster(servers.cluster, tables, { signal });
  const startedMs = performance.now();
  await vacuumAll([servers.plainConnectionString, servers.connectionString, ...servers.nodes.map((node) => node.connectionString)]);
  say(pc.dim(`  vacuumed and analyzed in ${duration(performance.now() - startedMs)}`));
}

async function showShards({ cluster, nodes }: DemoServers): Promise<void> {
  say(heading('Where the rows went'));
  say('Shards and rows per node. Reference tables have one full copy on each.\n');
  say(await shardTable(nodes, await cluster.shards()));
}

function summary(stops: number, differing: readonly string[]): string {
  if (differing.length === 0) return `${heading('Done')}\n${pc.green('✓')} ${wholeNumber(stops)} of ${stops} answers are those of one PostgreSQL.`;
  return `${heading('Done')}\n${pc.red('✗')} ${differing.length} of ${stops} answers differ: ${differing.join(', ')}`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

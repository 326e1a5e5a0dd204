import { Command } from 'commander';
import { startEmbeddedCluster } from '../embedded/embedded-cluster.ts';
import type { PostgresMajor } from '../embedded/find-binaries.ts';
import { serve } from '../wire/serve.ts';
import { integerBetween } from './options.ts';
import { untilStopped } from './until-stopped.ts';

interface DevOptions {
  readonly nodes: number;
  readonly port: number;
  readonly postgres: number;
  readonly data?: string;
}

/** `shardwright dev`: servers of its own, and the wire server in front of them. */
export function devCommand(): Command {
  return new Command('dev')
    .description('Start a cluster of real servers on this machine, for any client, until Ctrl-C.')
    .option('--nodes <count>', 'servers that store shards, beside the coordinator\'s', integerBetween(1, 64), 3)
    .option('--port <port>', 'where clients connect, on 127.0.0.1', integerBetween(0, 65_535), 6543)
    .option('--postgres <major>', 'PostgreSQL 15 to 18', integerBetween(15, 18), 18)
    .option('--data <directory>', 'keep the data there, and come back with it; it is temporary else')
    .action(runDev);
}

async function runDev({ nodes, port, postgres, data }: DevOptions): Promise<void> {
  const stopping = new AbortController();
  const stopped = untilStopped().then(() => stopping.abort());
  const embedded = await startEmbeddedCluster({ nodes, major: postgres as PostgresMajor, dataDirectory: data, signal: stopping.signal }).catch((error: unknown) => {
    if (stopping.signal.aborted) return undefined;
    throw error;
  });
  if (embedded === undefined) return;
  try {
    const server = await serve(embedded.cluster, { port, authentication: 'trust' });
    const { pathname, username } = new URL(embedded.connectionString);
    console.log(`ready postgres://${username}@${server.host}:${server.port}${pathname}`);
    await stopped;
    await server.close();
  } finally {
    await embedded.stop();
  }
}

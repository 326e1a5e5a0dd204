import { Command } from 'commander';
import { Cluster } from '../coordinator/cluster.ts';
import { integerBetween, parseNode } from './options.ts';

interface CliSwitchover {
  readonly coordinator: string;
  readonly node: string | number;
  readonly to?: string;
  readonly patroni?: readonly string[];
  readonly drainTimeout: number;
  readonly timeout: number;
}

/** `shardwright switchover`: a planned change of a node's primary, by Patroni, with all processes of the cluster waiting for it. */
export function switchoverCommand(): Command {
  return new Command('switchover')
    .description('Have Patroni make another server of a node the primary, while all processes of the cluster hold their statements for it.')
    .requiredOption('--coordinator <url>', 'the coordinator database, with all of its hosts')
    .requiredOption('--node <name>', 'id or HOST:PORT/DATABASE of a node, or "coordinator"', parseNode)
    .option('--to <member>', 'the member of Patroni\'s that shall be the primary, by name or HOST:PORT; Patroni chooses by default')
    .option('--patroni <url...>', 'REST interfaces of the node\'s Patronis; those that it was added with by default')
    .option('--drain-timeout <seconds>', 'how long what runs there has to end', integerBetween(0, 3_600), 3)
    .option('--timeout <seconds>', 'until another server must be the primary', integerBetween(1, 3_600), 30)
    .action(runSwitchover);
}

async function runSwitchover({ coordinator, node, to, patroni, drainTimeout, timeout }: CliSwitchover): Promise<void> {
  const cluster = new Cluster({ connectionString: coordinator });
  // A server that went away is what this is about.
  cluster.on('error', () => undefined);
  try {
    const { host, port } = await cluster.switchover(node, { to, patroni, drainTimeoutMs: drainTimeout * 1_000, timeoutMs: timeout * 1_000 });
    console.log(`the primary is ${host}:${port}`);
  } finally {
    await cluster.end();
  }
}

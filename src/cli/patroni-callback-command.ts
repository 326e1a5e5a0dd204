import { Command } from 'commander';
import { Cluster } from '../coordinator/cluster.ts';
import { parseNode } from './options.ts';

interface CallbackOptions {
  readonly coordinator: string;
  readonly node: string | number;
}

/** `shardwright patroni-callback`: what Patroni calls when something happens to a server, with the action, the server's role and the name of its cluster. */
export function patroniCallbackCommand(): Command {
  return new Command('patroni-callback')
    .description('For "callbacks" in patroni.yml: have all processes of the cluster ask the node\'s servers at once what they are.')
    .requiredOption('--coordinator <url>', 'the coordinator database, with all of its hosts')
    .requiredOption('--node <name>', 'id or HOST:PORT/DATABASE of the node, or "coordinator"', parseNode)
    .argument('<action>', 'such as on_role_change')
    .argument('<role>', 'such as primary')
    .argument('<scope>', 'the name of Patroni\'s cluster')
    .action(runCallback);
}

async function runCallback(action: string, role: string, scope: string, { coordinator, node }: CallbackOptions): Promise<void> {
  const cluster = new Cluster({ connectionString: coordinator, recoveryIntervalMs: 0 });
  cluster.on('error', () => undefined);
  try {
    await cluster.serversChanged(node);
    console.log(`told of ${action} (${role}) in ${scope}`);
  } finally {
    await cluster.end();
  }
}

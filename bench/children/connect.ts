import { Client } from 'pg';
import { Cluster } from '../../src/index.ts';
import type { ChildTask } from './child-task.ts';

export type Connected =
  | { readonly kind: 'plain'; readonly client: Client; end(): Promise<void> }
  | { readonly kind: 'cluster'; readonly cluster: Cluster; end(): Promise<void> };

/** Connects to the task's side and runs one query, so that starting is not part of what is measured. */
export async function connect(task: ChildTask): Promise<Connected> {
  if (task.side === 'plain') {
    const client = new Client({ connectionString: task.connectionString });
    await client.connect();
    await client.query('SELECT 1');
    return { kind: 'plain', client, end: () => client.end() };
  }
  const cluster = new Cluster({ connectionString: task.connectionString });
  await cluster.query(task.kind === 'move' ? 'SELECT 1' : 'SELECT count(*) FROM companies WHERE id = 1');
  return { kind: 'cluster', cluster, end: () => cluster.end() };
}

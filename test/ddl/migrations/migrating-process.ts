import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Cluster } from '../../../src/index.ts';
import { migrate, type Tool } from './migrate.ts';

/** Migrates when it is given a line: a migration, the index of a statement in it, and milliseconds. So long after it has begun to send that statement, it kills itself. */
const [connectionString = '', tool] = process.argv.slice(2);
const [line] = (await once(createInterface(process.stdin), 'line')) as [string];
const [target, index, afterMs] = line.split(' ');
const cluster = new Cluster({ connectionString });
const client = await cluster.connect();
await migrate(tool as Tool, client, (migration, i) => {
  if (migration === target && i === Number(index)) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(afterMs));
  return undefined;
});
client.release();
await cluster.end();
process.exit(0);

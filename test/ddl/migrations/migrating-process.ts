import { Cluster } from '../../../src/index.ts';
import { migrate, type Tool } from './migrate.ts';

/** Migrates, and prints the name of each migration that is done. */
const [connectionString = '', tool] = process.argv.slice(2);
const cluster = new Cluster({ connectionString });
const client = await cluster.connect();
await migrate(tool as Tool, client, (name) => void process.stdout.write(`${name}\n`));
client.release();
await cluster.end();

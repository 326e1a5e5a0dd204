import { Cluster } from '../../src/index.ts';

/** Builds a lookup, until it is killed. */
const [connectionString = ''] = process.argv.slice(2);
const cluster = new Cluster({ connectionString });
await cluster.createUniqueLookup('users', 'email');
process.stdout.write('built');
await cluster.end();

import { Cluster } from '../../../src/index.ts';

/** Runs the query of the second argument over and over, until the process is killed. */
const [connectionString = '', sql = ''] = process.argv.slice(2);
const cluster = new Cluster({ connectionString, tuning: { arrayRowsMax: 0 } });
for (;;) await cluster.query(sql);

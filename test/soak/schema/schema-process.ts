import { Cluster } from '../../../src/index.ts';
import { Random } from '../../oracle/random.ts';
import type { SchemaEvent } from './schema-event.ts';
import { SchemaLane } from './schema-lane.ts';

// A process of the application: it works until its standard input ends, then waits for the second line, when nothing changes any more, and looks at its rows for the last time.
const [connectionString = '', seed = '1', first = '1', count = '3'] = process.argv.slice(2);
const cluster = new Cluster({ connectionString, recoveryIntervalMs: 500, connectTimeoutMs: 5_000 });
const tell = (event: SchemaEvent): void => void process.stdout.write(`${JSON.stringify(event)}\n`);
const over = new AbortController();
// Who reads it is gone.
process.stdout.on('error', () => process.exit(1));
process.stdin.on('end', () => over.abort()).resume();
for (const kind of ['uncaughtException', 'unhandledRejection'] as const) process.on(kind, (error: Error) => tell({ kind: 'objection', about: `${kind}: ${error.stack ?? String(error)}` }));

const lanes = Array.from({ length: Number(count) }, (_, i) => new SchemaLane(cluster, new Random(Number(seed) + i), Number(first) + i, tell));
await Promise.all(lanes.map((lane) => lane.run(() => over.signal.aborted)));
for (const lane of lanes) await lane.lastLook();
await cluster.end();

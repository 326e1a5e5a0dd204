import { createInterface } from 'node:readline';
import { sqlStateOf } from '../../../src/base/errors.ts';
import { Cluster } from '../../../src/index.ts';
import type { MigrationTask, MigrationOutcome } from './migrator.ts';

// The process that changes definitions, one change for each line of its standard input, as migration tools do: with a row that says that it was done in the same block.
const [connectionString = ''] = process.argv.slice(2);
const cluster = new Cluster({ connectionString, recoveryIntervalMs: 500, connectTimeoutMs: 5_000 });

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await run(JSON.parse(line) as MigrationTask);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
await cluster.end();

async function run({ number, change }: MigrationTask): Promise<MigrationOutcome> {
  const client = await cluster.connect();
  try {
    if (change.inBlock) await client.query('BEGIN');
    for (const text of change.texts) await client.query(text);
    if (change.inBlock) {
      await client.query('INSERT INTO applied VALUES ($1)', [number]);
      await client.query('COMMIT');
    }
    return { number, code: undefined, message: '' };
  } catch (error) {
    const { message, detail = '', id = '', stack = '' } = error as { message: string; detail?: string; id?: string; stack?: string };
    const code = sqlStateOf(error) ?? 'none';
    await client.query('ROLLBACK').catch(() => undefined);
    return { number, code, message: code === 'none' ? stack : `${id} ${message}${detail === '' ? '' : ` (${detail})`}` };
  } finally {
    client.release();
  }
}

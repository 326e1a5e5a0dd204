import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StagedCluster, startStaged } from './start-staged.ts';
import { scriptArguments } from '../../support/child-script.ts';

let pair: StagedCluster;
beforeAll(async () => {
  pair = await startStaged();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

/** Intermediate results on every node, on one, and in the coordinator database. */
const queries = [
  'SELECT count(*) FROM orders a JOIN orders b ON a.id = b.total AND a.total > 100 WHERE pg_sleep(0.0005) IS NOT NULL',
  'SELECT count(*) FROM countries c LEFT JOIN orders o ON pg_sleep(0.0005) IS NOT NULL',
  'SELECT count(*) FROM notes n LEFT JOIN orders o ON o.id > n.id AND pg_sleep(0.0005) IS NOT NULL',
];

test.each(queries)('a process killed in the middle of its stages leaves no table: %s', async (sql) => {
  const child = spawn(process.execPath, [...scriptArguments(new URL('reader-process.ts', import.meta.url)), pair.databases.coordinator.connectionString, sql], { stdio: ['ignore', 'ignore', 'pipe'] });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const ended = once(child, 'exit');
  // The table itself is nobody else's to see before its transaction commits, which it never does.
  while (child.exitCode === null && !(await pair.found()).some((line) => /COPY pg_temp|ANALYZE pg_temp|FETCH/.test(line)));
  expect(child.exitCode, Buffer.concat(errors).toString()).toBeNull();
  child.kill('SIGKILL');
  await ended;
  // A server notices when it has something to send.
  for (let rounds = 0; rounds < 10 && (await pair.remains()).length > 0; rounds += 1);
  expect(await pair.remains()).toEqual([]);
  expect((await pair.cluster.query('SELECT count(*)::int AS n FROM orders')).rows).toEqual((await pair.plain.query('SELECT count(*)::int AS n FROM orders')).rows);
});

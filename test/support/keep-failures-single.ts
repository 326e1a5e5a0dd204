import { afterAll, afterEach } from 'vitest';
import { dropRest, endTransactions } from './test-databases.ts';

/** Runs in each test file, behind its own hooks. Test files share servers: what one of them leaves would be in the way of all others. */

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await endTransactions();
});

afterAll(dropRest);

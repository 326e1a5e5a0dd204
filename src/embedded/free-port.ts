import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { ClusterError } from '../base/errors.ts';

// Below the ranges that systems take outgoing ports from: so a server finds its own port again when it restarts.
const lowest = 20_000;
const highest = 32_000;
const attemptsMax = 200;

/** A TCP port of the loopback interface that nothing listens on at this moment. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const port = randomInt(lowest, highest);
    if (await isFree(port)) return port;
  }
  throw new ClusterError('embeddedServer', `no free port between ${lowest} and ${highest}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

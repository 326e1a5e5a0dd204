import cluster, { type Worker } from 'node:cluster';
import { availableParallelism } from 'node:os';
import { once } from 'node:events';
import type { WireServer } from '../wire/serve.ts';
import { untilStopped } from './until-stopped.ts';

/** A client's request to cancel, which may come to another process than its session is in. */
interface CancelMessage {
  readonly cancel: { readonly processId: number; readonly key: string };
}

export function workersFor(perCore: number): number {
  return Math.max(1, Math.round(perCore * availableParallelism()));
}

/** Starts processes that share a port, prints the line when all can serve, and ends them at the signal. One that dies is replaced. */
export async function runWorkers(count: number, ready: string): Promise<void> {
  let isStopping = false;
  const start = async (): Promise<void> => {
    const worker = cluster.fork();
    worker.on('message', (message: CancelMessage) => passOn(worker, message));
    worker.once('exit', (code) => {
      if (!isStopping && code !== 1) void start();
    });
    const [outcome] = (await Promise.race([once(worker, 'listening'), once(worker, 'exit')])) as unknown[];
    if (typeof outcome === 'number') throw new Error('a worker did not start');
  };
  try {
    await Promise.all(Array.from({ length: count }, start));
    console.log(ready);
    await untilStopped();
  } finally {
    isStopping = true;
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    await Promise.all(workers.map((worker) => {
      const gone = once(worker, 'exit');
      worker.process.kill('SIGTERM');
      return gone;
    }));
  }
}

function passOn(from: Worker, message: CancelMessage): void {
  for (const worker of Object.values(cluster.workers ?? {})) if (worker !== undefined && worker !== from) worker.send(message);
}

/** In a worker: requests for sessions that are not here go to the others, and theirs come here. */
export function linkCancels(server: WireServer): void {
  server.onUnknownCancel((processId, key) => process.send?.({ cancel: { processId, key: key.toString('base64') } } satisfies CancelMessage));
  process.on('message', ({ cancel }: CancelMessage) => server.cancel(cancel.processId, Buffer.from(cancel.key, 'base64')));
}

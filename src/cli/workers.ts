import cluster, { type Worker } from 'node:cluster';
import { availableParallelism } from 'node:os';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { ClientActivity } from '../execute/computed/client-activity.ts';
import type { WireServer } from '../wire/serve.ts';
import { untilStopped } from './until-stopped.ts';

/** A client's request to cancel, which may come to another process than its session is in. */
interface CancelMessage {
  readonly cancel: { readonly processId: number; readonly key: string };
}

/** A process wants to know what clients of the others do; each answers for its own, and all hear of it. */
interface AskMessage {
  readonly ask: { readonly question: string };
}

interface AnswerMessage {
  readonly answer: { readonly question: string; readonly clients: readonly ClientActivity[] };
}

type WorkerMessage = CancelMessage | AskMessage | AnswerMessage;

/** One that answers later has died, or hangs: its clients are left out. */
const answerMs = 1_000;

export function workersFor(perCore: number): number {
  return Math.max(1, Math.round(perCore * availableParallelism()));
}

/** Starts processes that share a port, prints the line for it when all can serve, and ends them at the signal. One that dies is replaced. */
export async function runWorkers(count: number, ready: (port: number) => string): Promise<void> {
  let isStopping = false;
  const start = async (): Promise<number> => {
    const worker = cluster.fork();
    worker.on('message', (message: WorkerMessage) => passOn(worker, message));
    worker.once('exit', (code) => {
      if (!isStopping && code !== 1) void start();
    });
    const [outcome] = (await Promise.race([once(worker, 'listening'), once(worker, 'exit')])) as unknown[];
    if (typeof outcome !== 'object' || outcome === null || !('port' in outcome)) throw new Error('a worker did not start');
    return Number(outcome.port);
  };
  try {
    const [port = 0] = await Promise.all(Array.from({ length: count }, start));
    console.log(ready(port));
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

function passOn(from: Worker, message: WorkerMessage): void {
  for (const worker of Object.values(cluster.workers ?? {})) if (worker !== undefined && worker !== from) worker.send(message);
}

/** In a worker, one of `count`: requests for sessions that are not here go to the others, and theirs come here; each knows what clients of all do. */
export function linkWorkers(server: WireServer, count: number): void {
  const tell = (message: WorkerMessage): void => void process.send?.(message);
  const asking = new Map<string, (clients: readonly ClientActivity[]) => void>();
  server.onUnknownCancel((processId, key) => tell({ cancel: { processId, key: key.toString('base64') } }));
  server.onActivity(() => activityOfOthers(count - 1, asking, tell));
  process.on('message', (message: WorkerMessage) => {
    if ('cancel' in message) server.cancel(message.cancel.processId, Buffer.from(message.cancel.key, 'base64'));
    else if ('ask' in message) tell({ answer: { ...message.ask, clients: server.clients() } });
    else asking.get(message.answer.question)?.(message.answer.clients);
  });
}

function activityOfOthers(others: number, asking: Map<string, (clients: readonly ClientActivity[]) => void>, tell: (message: AskMessage) => void): Promise<readonly ClientActivity[]> {
  const question = randomUUID();
  const found: ClientActivity[] = [];
  let waiting = others;
  return new Promise((resolve) => {
    const done = (): void => {
      asking.delete(question);
      clearTimeout(timer);
      resolve(found);
    };
    const timer = setTimeout(done, answerMs);
    asking.set(question, (clients) => {
      found.push(...clients);
      waiting -= 1;
      if (waiting === 0) done();
    });
    tell({ ask: { question } });
  });
}

import { setTimeout as delay } from 'node:timers/promises';
import { canceled, throwIfAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { ReplicatedConnections } from './replicated-connections.ts';
import type { ServerWatch } from './server-watch.ts';
import type { WatchedServer } from './watched-server.ts';

export interface SwitchoverOptions extends Pick<CallOptions, 'signal'> {
  /** Makes another server of the node the primary, and resolves when that is under way or done: Patroni's `POST /switchover`, say. */
  readonly promote: (from: ServerAddress) => Promise<unknown>;
  /** Milliseconds that statements and transactions under way have to end: 3 000 by default. Those that take longer meet the end of their server. */
  readonly drainTimeoutMs?: number | undefined;
  /** Milliseconds until another server must be the primary, from then on: 30 000 by default. */
  readonly timeoutMs?: number | undefined;
}

const drainTimeoutMsDefault = 3_000;
const timeoutMsDefault = 30_000;
const pollMs = 5;
const lookMs = 50;

/**
 * A planned switchover, as seen from one process: 1. new statements for the node wait; 2. those that have begun end; 3. another server is promoted; 4. it is found, and those who wait go on with it. Other processes are not held: their
 * statements meet the end of the old primary, and those that have not run are tried again.
 *
 * `node`: all connections of this process to it. Resolves to the new primary's address. `switchoverFailed`, `nodeUnreachable`, `canceled`.
 */
export async function switchOver([node, ...others]: readonly [ReplicatedConnections, ...ReplicatedConnections[]], options: SwitchoverOptions): Promise<ServerAddress> {
  const { signal, promote, drainTimeoutMs = drainTimeoutMsDefault, timeoutMs = timeoutMsDefault } = options;
  const { watch, name } = node;
  const from = await watch.waitForPrimary(timeoutMs, signal);
  const holds = [node, ...others].map((one) => one.watch.hold());
  try {
    await drained([node, ...others], drainTimeoutMs, signal);
    await promote(from.address);
    return (await nextPrimary(watch, { from, timeoutMs, signal })).address;
  } catch (error) {
    if (signal?.aborted === true) throw canceled(signal);
    throw new ClusterError('switchoverFailed', `node ${name} was not switched over`, { detail: error instanceof Error ? `${error.message}.` : undefined, cause: error });
  } finally {
    for (const hold of holds) hold[Symbol.dispose]();
  }
}

/** Resolves when nothing runs on the node, or after the time given. */
async function drained(all: readonly ReplicatedConnections[], timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  const isBusy = (): boolean => all.some(({ counts }) => counts.open > counts.idle);
  while (isBusy() && performance.now() < deadlineMs) {
    throwIfAborted(signal);
    await delay(pollMs);
  }
}

interface Awaited {
  readonly from: WatchedServer;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

async function nextPrimary(watch: ServerWatch, { from, timeoutMs, signal }: Awaited): Promise<WatchedServer> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    await watch.lookAgain();
    const found = watch.lastPrimary;
    if (found !== undefined && found !== from && found.health.state === 'primary') return found;
    throwIfAborted(signal);
    if (performance.now() > deadlineMs) throw new Error(`no other server takes writes after ${timeoutMs} ms`);
    await delay(lookMs);
  }
}

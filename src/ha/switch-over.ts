import { setTimeout as delay } from 'node:timers/promises';
import { canceled, onAbort, throwIfAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { patroniSwitchover } from './patroni.ts';
import type { ReplicatedConnections } from './replicated-connections.ts';
import type { ServerWatch } from './server-watch.ts';
import type { WatchedServer } from './watched-server.ts';

export interface SwitchoverOptions extends Pick<CallOptions, 'signal'> {
  /** Makes another server of the node the primary, and resolves when that is under way or done. By default Patroni is asked to. */
  readonly promote?: ((from: ServerAddress) => Promise<unknown>) | undefined;
  /** URLs of Patroni's REST interface, with name and password where it wants them; those that the node was added with by default. Not with `promote`. */
  readonly patroni?: string | readonly string[] | undefined;
  /** The member of Patroni's, by name or as `host:port`, that shall be the primary; Patroni chooses by default. Not with `promote`. */
  readonly to?: string | undefined;
  /** Milliseconds that statements and transactions under way have to end: 3 000 by default. Those that take longer meet the end of their server. */
  readonly drainTimeoutMs?: number | undefined;
  /** Milliseconds until another server must be the primary, from then on: 30 000 by default. */
  readonly timeoutMs?: number | undefined;
}

const timeoutMsDefault = 30_000;
const drainTimeoutMsDefault = 3_000;
/** For others to hear of it. */
const hearMs = 50;
const pollMs = 5;
const lookMs = 50;

/** Who promotes: whom the options name, else Patroni, which the node may be `known` by. `invalidParameter` when there is nobody. */
export function promoterOf({ promote, patroni, to, timeoutMs = timeoutMsDefault, signal }: SwitchoverOptions, known: readonly string[] | undefined): SwitchoverServices['promote'] {
  if (promote !== undefined) {
    if (patroni !== undefined || to !== undefined) throw new ClusterError('invalidParameter', 'promote stands alone, without patroni and to');
    return promote;
  }
  const urls = typeof patroni === 'string' ? [patroni] : (patroni ?? known);
  if (urls === undefined) throw new ClusterError('invalidParameter', 'nobody is there who could promote a server', { hint: 'Give the URLs of its Patronis, or a function that promotes one.' });
  return () => patroniSwitchover(urls, { to, timeoutMs, signal });
}

/** What a switchover needs of those around it. */
export interface SwitchoverServices extends Pick<SwitchoverOptions, 'signal' | 'drainTimeoutMs' | 'timeoutMs'> {
  readonly promote: (from: ServerAddress) => Promise<unknown>;
  /** Tells other processes that it begins, away from the primary of that timeline, and how long it may take; or that it is over. */
  readonly tell: (news: { readonly kind: 'switchover'; readonly timeline: number; readonly timeoutMs: number } | { readonly kind: 'changed' }) => Promise<unknown>;
}

/**
 * A planned switchover: 1. other processes are told; 2. here and there new statements for the node wait; 3. those that have begun end; 4. another server is promoted; 5. each process finds it, and those who wait go on with it. Others are told
 * before this one holds the node, since it may be the coordinator database, through which they are told.
 *
 * `node`: all connections of this process to it. Resolves to the new primary's address. `switchoverFailed`, `nodeUnreachable`, `canceled`.
 */
export async function switchOver([node, ...others]: readonly [ReplicatedConnections, ...ReplicatedConnections[]], services: SwitchoverServices): Promise<ServerAddress> {
  const { signal, promote, tell, drainTimeoutMs = drainTimeoutMsDefault, timeoutMs = timeoutMsDefault } = services;
  const { watch, name } = node;
  const from = await watch.waitForPrimary(timeoutMs, signal);
  const timeline = from.answer?.timeline ?? 0;
  await tell({ kind: 'switchover', timeline, timeoutMs: drainTimeoutMs + timeoutMs });
  const holds = [node, ...others].map((one) => one.watch.hold());
  const letGo = (): void => {
    for (const hold of holds.splice(0)) hold[Symbol.dispose]();
  };
  const over = new AbortController();
  using _ending = onAbort(signal, () => over.abort());
  try {
    await delay(hearMs);
    await drained(from, { all: [node, ...others], timeoutMs: drainTimeoutMs, signal });
    const promoting = promote(from.address);
    // Who promotes may find out later than we that it is done.
    const finding = nextPrimary(watch, { timeline, timeoutMs, signal: over.signal });
    const { address } = await Promise.race([finding, promoting.then(() => finding)]);
    letGo();
    await promoting.catch(() => undefined);
    return address;
  } catch (error) {
    if (signal?.aborted === true) throw canceled(signal);
    throw new ClusterError('switchoverFailed', `node ${name} was not switched over`, { detail: describe(error), cause: error });
  } finally {
    over.abort();
    letGo();
    // They find out by themselves, or give up: nobody waits for that.
    void tell({ kind: 'changed' }).catch(() => undefined);
  }
}

/** The part of another process in a switchover that it was told of. Ends when there is a primary on a newer timeline, when the time is over, or on abort; never throws. */
export async function followSwitchover(all: readonly ReplicatedConnections[], options: Awaited): Promise<void> {
  await Promise.all(all.map(async ({ watch }) => {
    using _hold = watch.hold();
    await nextPrimary(watch, options).catch(() => undefined);
  }));
}

function describe(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return error instanceof ClusterError && error.detail !== undefined ? `${error.message}: ${error.detail}` : `${error.message}.`;
}

interface Draining {
  readonly all: readonly ReplicatedConnections[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Resolves when nothing runs on the node, of this process or another one of the same role, or after the time given. */
async function drained(server: WatchedServer, { all, timeoutMs, signal }: Draining): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  const isBusyHere = (): boolean => all.some(({ counts }) => counts.open > counts.idle);
  while ((isBusyHere() || (await server.isBusy().catch(() => false))) && performance.now() < deadlineMs) {
    throwIfAborted(signal);
    await delay(pollMs);
  }
}

interface Awaited {
  /** Of the old primary. */
  readonly timeline: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

async function nextPrimary(watch: ServerWatch, { timeline, timeoutMs, signal }: Awaited): Promise<WatchedServer> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    await watch.lookAgain();
    const found = watch.lastPrimary;
    if (found?.health.state === 'primary' && (found.answer?.timeline ?? 0) > timeline) return found;
    throwIfAborted(signal);
    if (performance.now() > deadlineMs) throw new Error(`no other server takes writes after ${timeoutMs} ms`);
    await delay(lookMs);
  }
}

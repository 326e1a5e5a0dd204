import type { ReleaseOutcome } from './exclusive-connection.ts';
import { runRaw } from './exclusive-connection.ts';
import { Link } from './link.ts';
import type { NodeSettings } from './node-settings.ts';
import { canceled, onAbort } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';

interface Waiter {
  grant(link: Link): void;
  fail(error: unknown): void;
}

interface IdleLink {
  readonly link: Link;
  readonly sinceMs: number;
}

/** At most `exclusiveMax` links, each used by one caller at a time; the callers wait in order of arrival. */
export class ExclusivePool {
  /** The most recently used last, so that those not needed grow old. */
  readonly #idle: IdleLink[] = [];
  readonly #links = new Set<Link>();
  readonly #waiters = new Set<Waiter>();
  readonly #closing = new Set<Promise<void>>();
  #connecting = 0;
  #sweeper: NodeJS.Timeout | undefined = undefined;
  #ended = false;
  #onDrained: (() => void) | undefined = undefined;

  constructor(private readonly settings: NodeSettings) {}

  get open(): number {
    return this.#links.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  acquire(signal: AbortSignal | undefined): Promise<Link> {
    if (signal?.aborted === true) return Promise.reject(canceled(signal));
    if (this.#ended) return Promise.reject(closed(this.settings.name));
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.link.ref();
      return Promise.resolve(idle.link);
    }
    return this.#wait(signal);
  }

  /** Takes a link back: clean and idle it is used again, else closed. */
  release(link: Link, outcome: ReleaseOutcome): void {
    const reusable = outcome.error === undefined && link.load === 0 && link.state === 'open' && link.transactionStatus === 'idle';
    if (!reusable || this.#ended) this.#close(link);
    else if (outcome.dirty === true) void this.#discard(link);
    else this.#offer(link);
  }

  break(): void {
    for (const link of this.#links) link.break();
  }

  /** Waits for the links in use; those who wait for one are refused. */
  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#sweeper);
    for (const waiter of this.#waiters) waiter.fail(closed(this.settings.name));
    for (const { link } of this.#idle.splice(0)) this.#close(link);
    if (this.#links.size > 0) await new Promise<void>((resolve) => (this.#onDrained = resolve));
    await Promise.all(this.#closing);
  }

  #wait(signal: AbortSignal | undefined): Promise<Link> {
    const { queueMax, acquireTimeoutMs, name } = this.settings;
    const startable = this.settings.exclusiveMax - this.#links.size;
    if (this.#waiters.size - this.#connecting >= queueMax + startable) {
      return Promise.reject(new ClusterError('poolTimeout', `more than ${queueMax} calls wait for a connection to node ${name}`));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        clearTimeout(timer);
        listening[Symbol.dispose]();
      };
      const waiter: Waiter = {
        grant: (link) => (leave(), resolve(link)),
        fail: (error) => (leave(), reject(error)),
      };
      const timer = setTimeout(() => waiter.fail(timedOut(this.settings)), acquireTimeoutMs);
      const listening = onAbort(signal, () => signal && waiter.fail(canceled(signal)));
      this.#waiters.add(waiter);
      this.#grow();
    });
  }

  /** Opens links while callers wait who will not get one of those being opened already. */
  #grow(): void {
    while (!this.#ended && this.#waiters.size > this.#connecting && this.#links.size < this.settings.exclusiveMax) {
      void this.#open();
    }
  }

  async #open(): Promise<void> {
    const link = new Link(this.settings, false);
    this.#links.add(link);
    this.#connecting += 1;
    try {
      await link.connect();
    } catch (error) {
      this.#connecting -= 1;
      this.#links.delete(link);
      this.#refuse(error);
      this.#drained();
      return;
    }
    this.#connecting -= 1;
    link.onClosed = () => this.#forget(link);
    if (link.state === 'closed') this.#forget(link);
    else if (this.#ended) this.#close(link);
    else this.#offer(link);
  }

  /**
   * A connection could not be opened. With none left nobody need wait any longer; else the others' users will be done some
   * time, unless the waiting takes too long.
   */
  #refuse(error: unknown): void {
    if (this.#links.size > this.#connecting) return;
    for (const waiter of this.#waiters) waiter.fail(error);
  }

  #offer(link: Link): void {
    const next = this.#waiters.values().next();
    if (next.done !== true) {
      link.ref();
      next.value.grant(link);
      return;
    }
    link.unref();
    this.#idle.push({ link, sinceMs: performance.now() });
    this.#sweeper ??= setTimeout(() => this.#sweep(), this.settings.idleTimeoutMs).unref();
  }

  async #discard(link: Link): Promise<void> {
    try {
      await runRaw(link, { text: 'DISCARD ALL', simple: true }, undefined);
      link.forgetPrepared();
    } catch {
      this.#close(link);
      return;
    }
    if (this.#ended) this.#close(link);
    else this.#offer(link);
  }

  /** Its place becomes free only when the socket has closed, so that there are never more than `exclusiveMax`. */
  #close(link: Link): void {
    link.onClosed = undefined;
    const closing = link.close().finally(() => {
      this.#closing.delete(closing);
      this.#forget(link);
    });
    this.#closing.add(closing);
  }

  /** The link's place becomes free, for those who wait. */
  #forget(link: Link): void {
    const at = this.#idle.findIndex((idle) => idle.link === link);
    if (at >= 0) this.#idle.splice(at, 1);
    if (!this.#links.delete(link)) return;
    this.#grow();
    this.#drained();
  }

  #drained(): void {
    if (this.#links.size === 0) this.#onDrained?.();
  }

  #sweep(): void {
    const oldestMs = performance.now() - this.settings.idleTimeoutMs;
    const expired = this.#idle.filter(({ sinceMs }) => sinceMs <= oldestMs);
    this.#idle.splice(0, expired.length);
    for (const { link } of expired) this.#close(link);
    const [next] = this.#idle;
    this.#sweeper = next && setTimeout(() => this.#sweep(), Math.max(1, next.sinceMs - oldestMs)).unref();
  }
}

function closed(nodeName: string): ClusterError {
  return new ClusterError('clusterClosed', `the connections to node ${nodeName} were closed`);
}

function timedOut({ name, acquireTimeoutMs, exclusiveMax }: NodeSettings): ClusterError {
  return new ClusterError('poolTimeout', `no connection to node ${name} became free within ${acquireTimeoutMs} ms`, {
    detail: `All ${exclusiveMax} connections are in use.`,
  });
}

import { Link } from './link.ts';
import type { NodeSettings } from './node-settings.ts';

/** A statement running for so long does not get others queued behind it. */
const slowMs = 20;
/** With so many statements on every shared link another link is opened. */
const crowded = 4;
/** After a failure to open a further link, none is tried for so long. */
const retryMs = 1_000;

/**
 * A few pipelined links that statements outside transactions share. `choose` is the hot path: no promise, no allocation.
 */
export class SharedLinks {
  readonly #links: Link[] = [];
  readonly #closing = new Set<Promise<void>>();
  #retryAt = 0;
  #sweeper: NodeJS.Timeout | undefined = undefined;
  /** Links that carried a statement since the last sweep. */
  readonly #used = new Set<Link>();

  constructor(private readonly settings: NodeSettings) {}

  get open(): number {
    return this.#links.length;
  }

  get idle(): number {
    return this.#links.filter((link) => link.load === 0).length;
  }

  /**
   * The least loaded link whose current statement is quick, or a new one when all are crowded. Undefined when every link is held
   * up by a slow statement and there may be no more.
   */
  choose(): Link | undefined {
    const now = performance.now();
    let best: Link | undefined;
    for (const link of this.#links) {
      if (link.load === 0 && link.state === 'open') return this.#use(link);
      if (link.headMs(now) > slowMs) continue;
      if (best === undefined || rank(link) < rank(best)) best = link;
    }
    if (best !== undefined && (best.load < crowded || !this.#mayOpen(now))) return this.#use(best);
    const opened = this.#mayOpen(now) ? this.#openLink() : undefined;
    return best ?? opened;
  }

  break(): void {
    for (const link of this.#links) link.break();
  }

  /** Waits for the statements under way, then closes. */
  async end(): Promise<void> {
    clearTimeout(this.#sweeper);
    for (const link of this.#links.splice(0)) this.#retire(link);
    await Promise.all(this.#closing);
  }

  #mayOpen(now: number): boolean {
    return this.#links.length < this.settings.sharedMax && (this.#links.length === 0 || now >= this.#retryAt);
  }

  #openLink(): Link {
    const link = new Link(this.settings, true);
    this.#links.push(link);
    link.onClosed = () => this.#forget(link);
    link.onIdle = () => link.unref();
    void this.#connect(link);
    this.#sweeper ??= setTimeout(() => this.#sweep(), this.settings.idleTimeoutMs).unref();
    return link;
  }

  /** When this fails, the link's statements fail with the reason. */
  async #connect(link: Link): Promise<void> {
    try {
      await link.connect();
      if (link.load === 0) link.unref();
    } catch {
      this.#retryAt = performance.now() + retryMs;
    }
  }

  #use(link: Link): Link {
    if (link.load === 0) {
      link.ref();
      this.#used.add(link);
    }
    return link;
  }

  #forget(link: Link): void {
    const index = this.#links.indexOf(link);
    if (index >= 0) this.#links.splice(index, 1);
  }

  /** Closes the links that carried nothing since the last time. */
  #sweep(): void {
    const unused = this.#links.filter((link) => link.load === 0 && link.state === 'open' && !this.#used.has(link));
    for (const link of unused) {
      this.#forget(link);
      this.#retire(link);
    }
    this.#used.clear();
    this.#sweeper = this.#links.length === 0 ? undefined : setTimeout(() => this.#sweep(), this.settings.idleTimeoutMs).unref();
  }

  #retire(link: Link): void {
    const closing = closeWhenIdle(link).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

/** A link that is not open yet comes last. */
function rank(link: Link): number {
  return link.state === 'open' ? link.load : link.load + 1_000_000;
}

async function closeWhenIdle(link: Link): Promise<void> {
  if (link.load > 0) await new Promise<void>((resolve) => (link.onIdle = resolve));
  await link.close();
}

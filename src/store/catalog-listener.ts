import { onAbort } from '../base/abort.ts';

/** The connection that listens: pg's `Client` fits. */
export interface ListenClient {
  connect(): Promise<unknown>;
  query(text: string): Promise<unknown>;
  end(): Promise<void>;
  on(event: 'notification' | 'error' | 'end', listener: (notification?: { readonly payload?: string | undefined }) => void): unknown;
  /** The socket no longer keeps the process alive. */
  unref(): void;
}

export interface CatalogListener {
  end(): Promise<void>;
}

export interface ListenOptions {
  readonly newClient: () => ListenClient;
  readonly channel: string;
  /** Called for each notification and once after each (re)connect, when some may have been missed. */
  readonly changed: () => void;
  /** Called with what else other processes say on the channel than the number of a version. */
  readonly heard?: ((payload: string) => void) | undefined;
  /** Waits before the next attempt; must not keep the process alive, and must stop early on abort. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
}

const firstDelayMs = 50;
const delayMsMax = 10_000;

/** Listens until it is ended; reconnects with delays that double from 50 ms to 10 s. Never throws. */
export function listenForCatalog(options: ListenOptions): CatalogListener {
  const stop = new AbortController();
  const done = listenForEver(options, stop.signal);
  return {
    end: () => {
      stop.abort();
      return done;
    },
  };
}

async function listenForEver(options: ListenOptions, signal: AbortSignal): Promise<void> {
  let delayMs = firstDelayMs;
  while (!signal.aborted) {
    const listened = await listenOnce(options, signal);
    delayMs = listened ? firstDelayMs : Math.min(delayMs * 2, delayMsMax);
    if (!signal.aborted) await options.delay(delayMs, signal);
  }
}

/** One connection's life. Returns whether it ever listened. */
async function listenOnce(options: ListenOptions, signal: AbortSignal): Promise<boolean> {
  const client = options.newClient();
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  client.on('error', end);
  client.on('end', end);
  using _stopping = onAbort(signal, end);
  client.on('notification', (notification) => {
    const payload = notification?.payload ?? '';
    if (options.heard === undefined || /^\d*$/.test(payload)) options.changed();
    else options.heard(payload);
  });
  let listening = false;
  try {
    await client.connect();
    client.unref();
    await client.query(`LISTEN ${options.channel}`);
    listening = true;
    options.changed();
    await ended;
  } catch {
    // The next attempt decides.
  }
  await client.end().catch(() => undefined);
  return listening;
}

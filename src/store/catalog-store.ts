import { orAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import { catalogChannel } from './catalog-changes.ts';
import type { CatalogListener } from './catalog-listener.ts';
import { loadSnapshot } from './load-snapshot.ts';

/** The one place of a process that knows the newest snapshot. */
export interface CatalogStore {
  /** The newest snapshot that was read, undefined before the first. Synchronous: for each statement, once. */
  current(): CatalogSnapshot | undefined;
  /** The current snapshot, read first if there is none. Concurrent callers share one reading. */
  load(options?: CallOptions): Promise<CatalogSnapshot>;
  /** Reads again. What is returned is at least as new as the call. */
  refresh(options?: CallOptions): Promise<CatalogSnapshot>;
  /** As `refresh`, but only asks for the version when nothing has changed. */
  refreshIfOld(options?: CallOptions): Promise<CatalogSnapshot>;
  /** Calls the listener with each new version. Dispose to stop. */
  onChange(listener: (snapshot: CatalogSnapshot) => void): Disposable;
  /** Stops listening; later calls fail with `clusterClosed`. */
  end(): Promise<void>;
}

export interface CatalogStoreOptions {
  readonly coordinator: Pick<NodeConnections, 'query' | 'acquire'>;
  /** Starts to listen on a channel; `changed` is called for each notification, and after each reconnect. */
  readonly listen: (channel: string, changed: () => void) => CatalogListener;
}

export function createCatalogStore({ coordinator, listen }: CatalogStoreOptions): CatalogStore {
  return new Store(coordinator, listen);
}

class Store implements CatalogStore {
  #current: CatalogSnapshot | undefined;
  /** The reading that runs, and the one that starts when it is done, for callers that came after its start. */
  #running: Promise<CatalogSnapshot> | undefined;
  #next: Promise<CatalogSnapshot> | undefined;
  #listener: CatalogListener | undefined;
  #ended = false;
  readonly #watchers = new Set<(snapshot: CatalogSnapshot) => void>();

  constructor(
    readonly coordinator: CatalogStoreOptions['coordinator'],
    readonly listen: CatalogStoreOptions['listen'],
  ) {}

  current(): CatalogSnapshot | undefined {
    return this.#current;
  }

  load(options?: CallOptions): Promise<CatalogSnapshot> {
    if (this.#current !== undefined && !this.#ended) return Promise.resolve(this.#current);
    return orAborted(this.#running ?? this.#read(), options?.signal);
  }

  refresh(options?: CallOptions): Promise<CatalogSnapshot> {
    return orAborted(this.#readAfterRunning(), options?.signal);
  }

  refreshIfOld(options?: CallOptions): Promise<CatalogSnapshot> {
    return orAborted(this.#readIfOld(), options?.signal);
  }

  onChange(listener: (snapshot: CatalogSnapshot) => void): Disposable {
    this.#watchers.add(listener);
    return { [Symbol.dispose]: () => this.#watchers.delete(listener) };
  }

  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all([this.#listener?.end(), this.#running?.catch(() => undefined)]);
  }

  /** A reading that started before the call may miss what the caller waits for: then the next one is taken, by all who wait. */
  #readAfterRunning(): Promise<CatalogSnapshot> {
    if (this.#running === undefined) return this.#read();
    const again = (): Promise<CatalogSnapshot> => {
      this.#next = undefined;
      return this.#read();
    };
    this.#next ??= this.#running.then(again, again);
    return this.#next;
  }

  #read(): Promise<CatalogSnapshot> {
    if (this.#ended) return Promise.reject(new ClusterError('clusterClosed', 'the cluster was ended'));
    const reading = this.#readOnce().finally(() => {
      this.#running = undefined;
    });
    this.#running = reading;
    return reading;
  }

  async #readOnce(): Promise<CatalogSnapshot> {
    const snapshot = await loadSnapshot(this.coordinator, { known: this.#current });
    if (!this.#ended) this.#listener ??= this.listen(catalogChannel(snapshot.clusterId), () => this.#refreshQuietly());
    return this.#adopt(snapshot);
  }

  #adopt(snapshot: CatalogSnapshot): CatalogSnapshot {
    const known = this.#current;
    if (known !== undefined && known.clusterId === snapshot.clusterId && known.version > snapshot.version) return known;
    this.#current = snapshot;
    if (known?.version !== snapshot.version) for (const watcher of this.#watchers) watcher(snapshot);
    return snapshot;
  }

  /** A failure here is met again by whoever needs the new version; the old snapshot stays, which is safe. */
  #refreshQuietly(): void {
    if (!this.#ended) this.#readIfOld().catch(() => undefined);
  }

  /** What is being read meanwhile may be new enough: whoever changes the catalog is notified of that as well. */
  async #readIfOld(): Promise<CatalogSnapshot> {
    const { rows } = await this.coordinator.query({ text: 'SELECT id, catalog_version FROM shardwright.cluster' });
    const [id, version] = rows[0] ?? [];
    const known = (): CatalogSnapshot | undefined => (this.#current?.clusterId === id && this.#current?.version === Number(version) ? this.#current : undefined);
    if (known() === undefined) await this.#running?.catch(() => undefined);
    return known() ?? this.#readAfterRunning();
  }
}

import { orAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import { catalogChannel } from './catalog-changes.ts';
import type { CatalogListener } from './catalog-listener.ts';
import { loadSnapshot, lookForPlacements } from './load-snapshot.ts';
import { SharedReading } from './shared-reading.ts';

/** The one place of a process that knows the newest snapshot. */
export interface CatalogStore {
  /** The newest snapshot that was read, undefined before the first. Synchronous: for each statement, once. */
  current(): CatalogSnapshot | undefined;
  /** The current snapshot, read first if there is none. Concurrent callers share one reading. */
  load(options?: CallOptions): Promise<CatalogSnapshot>;
  /** Reads again. What is returned is at least as new as the call. */
  refresh(options?: CallOptions): Promise<CatalogSnapshot>;
  /** As `refresh`, but only asks for the version when nothing has changed, and for where shard groups are when nothing else has. */
  refreshIfOld(options?: CallOptions): Promise<CatalogSnapshot>;
  /** One that is newer than `known`: if there is none yet, what is being read, or comes of `refreshIfOld`. */
  newerThan(known: CatalogSnapshot, options?: CallOptions): Promise<CatalogSnapshot>;
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
  /** Of all there is. */
  readonly #readings = new SharedReading(() => this.#read());
  /** Of what is newer, if anything is. */
  readonly #looks = new SharedReading(() => this.#look());
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
    return orAborted(this.#readings.running ?? this.#readings.fresh(), options?.signal);
  }

  refresh(options?: CallOptions): Promise<CatalogSnapshot> {
    return orAborted(this.#readings.fresh(), options?.signal);
  }

  refreshIfOld(options?: CallOptions): Promise<CatalogSnapshot> {
    return orAborted(this.#looks.fresh(), options?.signal);
  }

  newerThan(known: CatalogSnapshot, options?: CallOptions): Promise<CatalogSnapshot> {
    return orAborted(this.#newerThan(known), options?.signal);
  }

  onChange(listener: (snapshot: CatalogSnapshot) => void): Disposable {
    this.#watchers.add(listener);
    return { [Symbol.dispose]: () => this.#watchers.delete(listener) };
  }

  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all([this.#listener?.end(), this.#readings.running?.catch(() => undefined)]);
  }

  /** Many statements meet a change at once, and mostly somebody is reading it already. */
  async #newerThan(known: CatalogSnapshot): Promise<CatalogSnapshot> {
    const newer = (): CatalogSnapshot | undefined => (this.#current !== undefined && isNewer(this.#current, known) ? this.#current : undefined);
    for (const { running } of [this.#looks, this.#readings]) {
      if (newer() === undefined) await running?.catch(() => undefined);
    }
    return newer() ?? this.#looks.fresh();
  }

  async #read(): Promise<CatalogSnapshot> {
    if (this.#ended) throw new ClusterError('clusterClosed', 'the cluster was ended');
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
    if (!this.#ended) this.#looks.fresh().catch(() => undefined);
  }

  /** What is being read meanwhile may be new enough: whoever changes the catalog is notified of that as well. */
  async #look(): Promise<CatalogSnapshot> {
    const known = this.#current;
    if (known === undefined) return this.#readings.fresh();
    const look = await lookForPlacements(this.coordinator, known);
    // What was read past it is at least as new, and has all tables as they are.
    if (look.snapshot !== undefined && this.#current === known) return this.#adopt(look.snapshot);
    const isNewEnough = (): boolean => this.#current?.clusterId === look.clusterId && this.#current.version >= look.version;
    if (!isNewEnough()) await this.#readings.running?.catch(() => undefined);
    return isNewEnough() ? (this.#current ?? known) : this.#readings.fresh();
  }
}

/** The database may have become another cluster's. */
function isNewer(one: CatalogSnapshot, known: CatalogSnapshot): boolean {
  return one.clusterId !== known.clusterId || one.version > known.version;
}

import { sqlStateOf } from '../base/errors.ts';
import { missesShard } from '../execute/logical-names.ts';
import type { CatalogStore } from '../store/catalog-store.ts';
import { StalePatience } from './stale-patience.ts';

interface Again {
  readonly text: string;
  readonly signal: AbortSignal | undefined;
  /** Only replicas are read, and the shard is on the primary perhaps: it is not waited for. */
  readonly onlyReplicas: boolean;
}

/** Rows that are opened once more when a shard is missing and the catalog has changed, as long as none has come. */
export async function* againWhileStale<T>(store: CatalogStore, { text, signal, onlyReplicas }: Again, open: () => AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  const patience = new StalePatience();
  for (let hasBegun = false; ;) {
    const known = store.current();
    try {
      for await (const rows of open()) {
        hasBegun = true;
        yield rows;
      }
      return;
    } catch (error) {
      if (hasBegun || known === undefined || sqlStateOf(error) !== '42P01') throw error;
      const isMissing = !onlyReplicas && missesShard(error, known, text);
      const fresh = await patience.newerCatalog(store, { known, isMissing, signal });
      if (!(await patience.mayRunAgain({ isNewer: fresh.version !== known.version, isMissing }, signal))) throw error;
    }
  }
}

import { setTimeout as delay } from 'node:timers/promises';
import { sqlStateOf } from '../base/errors.ts';
import { isUndoneUse } from '../execute/watch-shells.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { CatalogStore } from '../store/catalog-store.ts';

/** How often a statement is planned anew because the catalog has changed. */
const changesMax = 20;
/** How long a shard may be at neither of its nodes: in the middle of a move's commit, until recovery if its process dies there. */
const missingMsMax = 90_000;
const waitMs = { first: 1, max: 200 } as const;
/** A commit takes no longer where nothing is wrong: what is missing for longer may be so for another reason. */
const commitMs = 16;

interface Stale {
  /** By which the statement was planned. */
  readonly known: CatalogSnapshot;
  readonly isMissing: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Whether a statement that found a shard missing is run again, and when. */
export class StalePatience {
  #changes = 0;
  #wait: number = waitMs.first;
  readonly #since = performance.now();

  /**
   * The catalog by which to run it again, or `known` in its newest version. Behind a cut-over many statements ask at once, and wait for this: a look will do. All is read where versions do not explain what was met: a shard that is missing is
   * mostly on its way.
   */
  async newerCatalog(store: Pick<CatalogStore, 'newerThan' | 'refresh'>, { known, isMissing, signal }: Stale): Promise<CatalogSnapshot> {
    const fresh = await store.newerThan(known, { signal });
    return fresh.version !== known.version || (isMissing && this.#wait < commitMs) ? fresh : store.refresh({ signal });
  }

  /** `isNewer`: the catalog has changed since the statement was planned; `isMissing`: there is no such shard. Resolves to false when it is no use. */
  async mayRunAgain(found: { readonly isNewer: boolean; readonly isMissing: boolean }, signal: AbortSignal | undefined): Promise<boolean> {
    if (found.isNewer) {
      this.#changes += 1;
      return this.#changes <= changesMax;
    }
    if (!found.isMissing || performance.now() - this.#since > missingMsMax) return false;
    await delay(this.#wait, undefined, { signal }).catch(() => undefined);
    this.#wait = Math.min(this.#wait * 2, waitMs.max);
    return signal?.aborted !== true;
  }
}

/** A shard, column, or constraint is not what the snapshot says: somebody else may have changed the catalog. */
export function mayBeStale(error: unknown): boolean {
  return ['42P01', '42703', '42704'].includes(sqlStateOf(error) ?? '') || isUndoneUse(error);
}

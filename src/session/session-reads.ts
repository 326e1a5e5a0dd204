import type { ServerFacts } from '../catalog/catalog-snapshot.ts';
import type { CommitPositions } from '../cluster/commit-positions.ts';
import type { ReadRoute } from '../cluster/read-route.ts';
import { collectsTokens, mergedReads, type ReadOptions, readSettings, readsOfServer } from './read-options.ts';
import { routeBy } from './routed-reads.ts';
import { SeenPositions } from './seen-positions.ts';
import type { SessionServices } from './session-services.ts';
import type { SessionSettings } from './session-settings.ts';

type Server = Pick<ServerFacts, 'sessionSettings'>;

/** Where a session reads. It sees its own writes there, whatever tokens it is given. */
export class SessionReads {
  /** What it has written. */
  readonly seen = new SeenPositions();
  /** What its owner wants, where that is not as for the whole cluster. */
  given: ReadOptions | undefined;

  constructor(
    private readonly services: Pick<SessionServices, 'pools' | 'reads' | 'writes'>,
    private readonly settings: SessionSettings,
    private readonly isBrief: boolean,
  ) {}

  /** Undefined for primaries. */
  route(server: Server, asked?: ReadOptions): ReadRoute | undefined {
    return routeBy(this.#options(server, asked), this.services.writes, this.seen);
  }

  /** For what may write. A session that is over then reads nothing of it. */
  collect(server: Server): CommitPositions | undefined {
    if (this.services.pools.failsOver !== true) return undefined;
    const isWanted = !this.isBrief && ((this.#options(server).reads ?? 'primary') !== 'primary' || this.#collectsTokens(server));
    return this.services.writes.collect(this.services.pools, isWanted);
  }

  get token(): string | undefined {
    return this.services.writes.text(this.seen);
  }

  #collectsTokens({ sessionSettings }: Server): boolean {
    return collectsTokens((name) => this.settings.valueOf(name) ?? sessionSettings[name]);
  }

  #options(server: Server, asked?: ReadOptions): ReadOptions {
    const { services: { reads }, settings, given } = this;
    if (given === undefined && asked === undefined && settings.isBlank) return mergedReads(reads, readsOfServer(server));
    return mergedReads(reads, readsOfServer(server), given, readSettings((name) => settings.valueOf(name)), asked);
  }
}

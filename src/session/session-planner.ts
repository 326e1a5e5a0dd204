import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { noStatistics, type Statistics } from '../plan/staged/statistics.ts';
import type { Finishing } from '../plan/select/select-context.ts';
import type { Statement } from '../sql/parse.ts';
import { type DescribeConnection, Describer } from './describer.ts';
import { Planner, type PreparedPlan } from './planner.ts';
import type { SessionServices } from './session-services.ts';

/** What planning must know of its session. */
export interface PlannedSession {
  /** Whether the session's transaction has reached the coordinator database, and may see there what nobody else does. */
  seesOwnChanges(): boolean;
  hasDefaultSettings(): boolean;
  /** Whether the session keeps its connection to the coordinator database. */
  isPinned(): boolean;
  /** The catalog as its transaction has changed it. */
  ownSnapshot(): CatalogSnapshot | undefined;
  /** Whether its transaction holds locks on tables, for which any other connection would wait. */
  locksTables(): boolean;
  onCoordinator<T>(work: (connection: NodeConnection) => Promise<T>): Promise<T>;
}

/** Plans a session's statements: under its search path, with what it sees, for the formats that it has set. */
export class SessionPlanner {
  /** Undefined: that of a new session. */
  #searchPath: readonly string[] | undefined;
  /** The settings changed in a way that only a server can tell the search path of. */
  #isOutdated = false;
  #own = new Planner();
  /** A server finishes merges while values come in other formats than PostgreSQL's defaults. */
  #finishing: Finishing;
  readonly #describing: DescribeConnection = {
    describe: (text) => this.session.onCoordinator((connection) => connection.describe(text)),
    query: (query) => this.session.onCoordinator((connection) => connection.query(query)),
  };

  constructor(
    private readonly services: SessionServices,
    private readonly session: PlannedSession,
  ) {
    this.#finishing = services.finishing;
  }

  /** Settings have changed: they are read again before the next statement is planned. */
  outdate(): void {
    this.#isOutdated = true;
  }

  /** The plan that all sessions share, if there is one and this session may use it: the hot path. */
  known(statement: Statement, snapshot: CatalogSnapshot): PreparedPlan | undefined {
    return this.#isOutdated || this.#hasOwnView ? undefined : this.services.planner.cached(statement.text, snapshot);
  }

  /** A refusal stands only by the newest catalog: what the statement names may have been something else in this one. */
  async plan(statement: Statement, snapshot: CatalogSnapshot): Promise<PreparedPlan> {
    try {
      return await this.#planBy(snapshot, statement);
    } catch (error) {
      if (!(error instanceof ClusterError) || this.session.ownSnapshot() !== undefined) throw error;
      const fresh = await this.services.store.refreshIfOld().catch(() => snapshot);
      if (fresh.version === snapshot.version) throw error;
      return this.#planBy(fresh, statement);
    }
  }

  describer(snapshot: CatalogSnapshot): Describer {
    const { pools, describeMemory } = this.services;
    return new Describer(this.#hasOwnView ? this.#describing : pools.get(coordinatorNodeId), describeMemory, snapshot.server.defaultCollationIsC);
  }

  /** Under another search path only this session's connection sees the same tables; in a transaction that has failed it says nothing more. */
  describerOfErrors(inTransaction: boolean): Pick<DescribeConnection, 'describe'> | undefined {
    // Any other connection would wait for its transaction's locks.
    if (this.session.ownSnapshot() !== undefined || this.session.locksTables()) return undefined;
    if (this.#searchPath === undefined) return this.services.pools.get(coordinatorNodeId);
    return inTransaction ? undefined : this.#describing;
  }

  async #planBy(snapshot: CatalogSnapshot, statement: Statement): Promise<PreparedPlan> {
    if (this.#isOutdated) await this.#readState();
    const searchPath = this.#searchPath ?? snapshot.server.searchPath;
    const planner = this.#hasOwnView ? this.#own : this.services.planner;
    return planner.plan(statement, {
      snapshot, searchPath, describe: this.describer(snapshot), statistics: this.#statistics(snapshot), cache: !this.session.seesOwnChanges(), finishing: this.#finishing,
    });
  }

  /** Other connections would wait for the locks of a transaction that has changed tables. */
  #statistics(snapshot: CatalogSnapshot): Statistics {
    return this.session.ownSnapshot() === undefined && !this.session.locksTables() ? this.services.statistics.of(snapshot) : noStatistics;
  }

  /** Whether only this session's connection sees what its statements name: a transaction may see what nobody else does, another search path finds other objects. */
  get #hasOwnView(): boolean {
    return this.session.seesOwnChanges() || this.#searchPath !== undefined || this.session.isPinned();
  }

  /** What planning must know of the session's settings; only a server can tell. */
  async #readState(): Promise<void> {
    const state: SessionState | undefined = this.session.hasDefaultSettings() ? undefined : await this.session.onCoordinator(stateOf);
    const { finishing } = state === undefined || state.finishing === 'application' ? this.services : state;
    if (finishing !== this.#finishing) this.#own = new Planner();
    this.#finishing = finishing;
    this.#searchPath = state?.searchPath;
    this.#isOutdated = false;
  }
}

interface SessionState {
  readonly searchPath: readonly string[];
  /** Who can read values as they come as text. */
  readonly finishing: Finishing;
}

const stateQuery = `SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(false)),
  pg_catalog.current_setting('DateStyle') LIKE 'ISO,%' AND pg_catalog.current_setting('IntervalStyle') = 'postgres'
  AND pg_catalog.current_setting('bytea_output') = 'hex', pg_catalog.current_setting('extra_float_digits')::int >= 1`;

async function stateOf(connection: { query(query: { text: string }): Promise<{ rows: readonly (readonly (string | null)[])[] }> }): Promise<SessionState> {
  const { rows } = await connection.query({ text: stateQuery });
  const [searchPath, defaultFormats, exactFloats] = at(rows, 0);
  const finishing = exactFloats !== 't' ? 'server_rounded_floats' : defaultFormats === 't' ? 'application' : 'server';
  return { searchPath: JSON.parse(searchPath ?? '[]') as string[], finishing };
}

import { isDeepStrictEqual } from 'node:util';
import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection, StatementShape } from '../cluster/node-connection.ts';
import { RelationNames } from '../analyze/relation-names.ts';
import { describableText } from '../plan/lookups/upserting-insert.ts';
import { noStatistics, type Statistics } from '../plan/staged/statistics.ts';
import type { Finishing } from '../plan/select/select-context.ts';
import type { KnownSession } from '../plan/known-session.ts';
import { isForOne } from '../plan/bind.ts';
import { quoteLiteral } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import { hasNoEffects } from './has-no-effects.ts';
import { type DescribeConnection, Describer } from './describer.ts';
import type { LiftedText } from './lifted-texts.ts';
import { Planner, type PreparedPlan } from './planner.ts';
import type { SessionServices } from './session-services.ts';

/** What planning must know of its session. */
export interface PlannedSession {
  /** Whether the session's transaction has reached the coordinator database, and may see there what nobody else does. */
  seesOwnChanges(): boolean;
  hasDefaultSettings(): boolean;
  /** Whether the session keeps its connection to the coordinator database. */
  isPinned(): boolean;
  /** Names of what it has set that means nothing to servers. */
  customSettings(): readonly string[];
  /** The catalog as its transaction has changed it. */
  ownSnapshot(): CatalogSnapshot | undefined;
  /** Whether its transaction holds locks on tables, for which any other connection would wait. */
  locksTables(): boolean;
  onCoordinator<T>(work: (connection: NodeConnection) => Promise<T>): Promise<T>;
}

/** Plans a session's statements: under its search path, with what it sees, for the formats that it has set. */
export class SessionPlanner {
  /** Undefined: that of a new session of the cluster's own user. */
  #searchPath: readonly string[] | undefined;
  /** It is that with which sessions of its role begin, and so that of all connections of its profile; as of the catalog's version. */
  #pathOfRole: { readonly version: number | undefined } | undefined;
  /** The settings changed in a way that only a server can tell the search path of. */
  #isOutdated = false;
  /** What prunes plans; as of the catalog's version below, since roles are changed with it. */
  #known: KnownSession | undefined;
  #knownVersion: number | undefined;
  #own = new Planner();
  readonly #twice = new WeakMap<Statement, boolean>();
  /** A server finishes merges while values come in other formats than PostgreSQL's defaults. */
  #finishing: Finishing;
  #misreadsTimes = false;
  readonly #describing: DescribeConnection = {
    describe: (text) => this.session.onCoordinator((connection) => connection.describe(text)),
    attempt: (text) => this.session.onCoordinator((connection) => describedInPart(connection, text)),
    query: (query) => this.session.onCoordinator((connection) => connection.query(query)),
  };

  constructor(
    private readonly services: SessionServices,
    private readonly session: PlannedSession,
  ) {
    this.#finishing = services.finishing;
    if (services.searchPath !== undefined) this.#pathOfRole = { version: undefined };
  }

  /** Settings have changed: they are read again before the next statement is planned. */
  outdate(): void {
    this.#isOutdated = true;
  }

  /** The plan that all sessions share, if there is one and this session may use it: the hot path. */
  known(statement: Statement, snapshot: CatalogSnapshot): PreparedPlan | undefined {
    return this.#isOld(snapshot) || !this.#seesWhatAllSee ? undefined : this.services.planner.cached(statement.text, snapshot)?.knowing(this.#known);
  }

  /**
   * A text with its constants as parameters, once there were some that differ in these alone. Only in a session that shares its plans; `learns`: a plan may be made for it now, which takes a moment. Undefined where the text is to be
   * run as it is.
   */
  lifted(text: string, snapshot: CatalogSnapshot, learns: boolean): LiftedText | undefined | Promise<LiftedText | undefined> {
    if (this.#isOld(snapshot) || !this.#seesWhatAllSee) return undefined;
    const found = this.services.planner.lifted.of(text, snapshot);
    if (found === undefined || this.known(found.statement, snapshot) !== undefined) return found;
    return learns ? this.#learned(found, snapshot) : undefined;
  }

  /** For one shard group alone: a plan for many may be chosen better by the constants themselves. What cannot be planned with parameters is what it is with constants. */
  async #learned(found: LiftedText, snapshot: CatalogSnapshot): Promise<LiftedText | undefined> {
    const prepared = await this.plan(found.statement, snapshot).catch(() => undefined);
    if (prepared?.snapshot === snapshot && isForOne(prepared.plan, found.values)) return found;
    if (prepared === undefined || prepared.snapshot === snapshot) this.services.planner.lifted.refuse(found);
    return undefined;
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

  /** What the coordinator database says of a statement, under the session's settings: PostgreSQL's own types and errors. `types`: OIDs of leading parameters, 0 for one to infer. */
  async shape(text: string, types: readonly number[], snapshot: CatalogSnapshot): Promise<StatementShape> {
    if (this.#isOld(snapshot)) await this.#readState(snapshot);
    if (this.#hasOwnView) return this.session.onCoordinator((connection) => connection.describe(text, types));
    return (this.#seesWhatAllSee ? this.services.planner.shapes.of(text, types, snapshot) : undefined) ?? this.services.pools.get(coordinatorNodeId).describe(text, types);
  }

  /** The same of a statement, which is remembered where nothing but a change of the catalog can change it. */
  async shapeOf(statement: Statement, types: readonly number[], snapshot: CatalogSnapshot): Promise<StatementShape> {
    const text = snapshot.lookups.length === 0 ? statement.text : describableText(statement, new RelationNames(snapshot, await this.searchPath(snapshot)));
    const shape = await this.shape(text, types, snapshot);
    if (this.#seesWhatAllSee && !this.#isOld(snapshot)) this.services.planner.shapes.keep(statement, types, { snapshot, shape });
    return shape;
  }

  /** See `Session.mayRunTwice`. At once, if it was asked before. */
  mayRunTwice(statement: Statement, snapshot: CatalogSnapshot): boolean | Promise<boolean> {
    const known = this.#twice.get(statement);
    if (known !== undefined) return known;
    return hasNoEffects(statement, snapshot, this.describer(snapshot)).then((may) => {
      this.#twice.set(statement, may);
      return may;
    });
  }

  /** Whether `mayRunTwice` has said so before. */
  isKnownToRunTwice(statement: Statement): boolean {
    return this.#twice.get(statement) === true;
  }

  /** Schemas in which the session looks for names. */
  async searchPath(snapshot: CatalogSnapshot): Promise<readonly string[]> {
    if (this.#isOld(snapshot)) await this.#readState(snapshot);
    return this.#searchPath ?? snapshot.server.searchPath;
  }

  describer(snapshot: CatalogSnapshot): Describer {
    const { pools, describeMemory } = this.services;
    return new Describer(this.#hasOwnView ? this.#describing : pools.get(coordinatorNodeId), describeMemory, snapshot.server.defaultCollationIsC);
  }

  /** Under another search path only this session's connection sees the same tables; in a transaction that has failed it says nothing more. */
  describerOfErrors(inTransaction: boolean): Pick<DescribeConnection, 'describe'> | undefined {
    // Any other connection would wait for its transaction's locks.
    if (this.session.ownSnapshot() !== undefined || this.session.locksTables()) return undefined;
    if (this.#searchPath === undefined || this.#pathOfRole !== undefined) return this.services.pools.get(coordinatorNodeId);
    return inTransaction ? undefined : this.#describing;
  }

  async #planBy(snapshot: CatalogSnapshot, statement: Statement): Promise<PreparedPlan> {
    if (this.#isOld(snapshot) || (this.#known !== undefined && this.#knownVersion !== snapshot.version)) await this.#readState(snapshot);
    const searchPath = this.#searchPath ?? snapshot.server.searchPath;
    const planner = this.#hasOwnView ? this.#own : this.services.planner;
    const prepared = await planner.plan(statement, {
      snapshot, searchPath, describe: this.describer(snapshot), statistics: this.#statistics(snapshot), cache: !this.session.seesOwnChanges(), finishing: this.#finishing, misreadsTimes: this.#misreadsTimes,
    });
    return prepared.knowing(this.#known);
  }

  /** Other connections would wait for the locks of a transaction that has changed tables. */
  #statistics(snapshot: CatalogSnapshot): Statistics {
    return this.session.ownSnapshot() === undefined && !this.session.locksTables() ? this.services.statistics.of(snapshot) : noStatistics;
  }

  /** Whether only this session's connection sees what its statements name: a transaction may see what nobody else does, another search path finds other objects. */
  get #hasOwnView(): boolean {
    return this.session.seesOwnChanges() || (this.#searchPath !== undefined && this.#pathOfRole === undefined) || this.session.isPinned();
  }

  /** Its names mean what they mean to sessions of the cluster's own user. */
  get #seesWhatAllSee(): boolean {
    return !this.#hasOwnView && this.#searchPath === undefined;
  }

  #isOld({ version }: CatalogSnapshot): boolean {
    return this.#isOutdated || (this.#pathOfRole !== undefined && this.#pathOfRole.version !== version);
  }

  /** What planning must know of the session's settings; only a server can tell. */
  async #readState(snapshot: CatalogSnapshot): Promise<void> {
    if (!this.#isOutdated && this.#pathOfRole !== undefined) return this.#readPathOfRole(snapshot);
    const asked = { names: this.session.customSettings(), role: [...snapshot.tables.values()].some(({ security }) => security !== undefined) };
    const state: SessionState | undefined = this.session.hasDefaultSettings() ? undefined : await this.session.onCoordinator((connection) => stateOf(connection, asked));
    const { finishing } = state === undefined || state.finishing === 'application' ? this.services : state;
    const misreadsTimes = state?.misreadsTimes === true;
    if (finishing !== this.#finishing || misreadsTimes !== this.#misreadsTimes) this.#own = new Planner();
    this.#finishing = finishing;
    this.#misreadsTimes = misreadsTimes;
    this.#searchPath = state?.searchPath;
    this.#pathOfRole = undefined;
    if (state === undefined) await this.#readPathOfRole(snapshot);
    this.#known = state?.known;
    this.#knownVersion = snapshot.version;
    this.#isOutdated = false;
  }

  /** `$user` is another schema for another role, and it may use others. */
  async #readPathOfRole({ version, server }: CatalogSnapshot): Promise<void> {
    const path = await this.services.searchPath?.();
    if (path === undefined) return;
    this.#searchPath = isDeepStrictEqual(path, server.searchPath) ? undefined : path;
    this.#pathOfRole = { version };
  }
}

interface SessionState {
  readonly searchPath: readonly string[];
  /** Who can read values as they come as text. */
  readonly finishing: Finishing;
  /** See `withoutMisreadTimes`. */
  readonly misreadsTimes: boolean;
  readonly known: KnownSession | undefined;
}

interface Asked {
  readonly names: readonly string[];
  /** Whether some table has row security. */
  readonly role: boolean;
}

const stateQuery = `pg_catalog.array_to_json(pg_catalog.current_schemas(false)),
  pg_catalog.current_setting('DateStyle') LIKE 'ISO,%' AND pg_catalog.current_setting('IntervalStyle') = 'postgres'
  AND pg_catalog.current_setting('bytea_output') = 'hex', pg_catalog.current_setting('extra_float_digits')::int >= 1,
  CASE WHEN pg_catalog.current_setting('DateStyle') NOT LIKE 'ISO,%' THEN EXISTS (SELECT FROM pg_catalog.generate_series('1900-01-01 00:00+00'::timestamptz, '2038-01-01 00:00+00', '1 month') AS moment(at)
    WHERE CASE WHEN pg_catalog.to_char(at, 'TZ') IN (SELECT abbrev FROM pg_catalog.pg_timezone_abbrevs) THEN at::text::timestamptz <> at ELSE false END) ELSE false END`;

const roleQuery = `(SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user),
  (SELECT pg_catalog.json_agg(rolname) FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(current_user, oid, 'USAGE'))`;

const settingsQuery = (names: readonly string[]): string => `(SELECT pg_catalog.json_object_agg(name, pg_catalog.current_setting(name, true))
  FROM pg_catalog.unnest(ARRAY[${names.map(quoteLiteral).join(', ')}]::text[]) AS name)`;

type Answering = Pick<DescribeConnection, 'query'>;

async function stateOf(connection: Answering, { names, role }: Asked): Promise<SessionState> {
  const { rows } = await connection.query({ text: `SELECT ${[stateQuery, settingsQuery(names), ...(role ? [roleQuery] : [])].join(', ')}` });
  const [searchPath, defaultFormats, exactFloats, misreadsTimes, settings, bypasses, acts] = at(rows, 0);
  const finishing = exactFloats !== 't' ? 'server_rounded_floats' : defaultFormats === 't' ? 'application' : 'server';
  const knownSettings = new Map(Object.entries(JSON.parse(settings ?? '{}') as Record<string, string | null>));
  const knownRole = role ? { bypasses: bypasses === 't', acts: new Set(JSON.parse(acts ?? '[]') as string[]) } : undefined;
  return {
    searchPath: JSON.parse(searchPath ?? '[]') as string[], finishing, misreadsTimes: misreadsTimes === 't',
    known: knownSettings.size === 0 && knownRole === undefined ? undefined : { settings: knownSettings, role: knownRole },
  };
}

/** An error undoes no more than what it is of. */
async function describedInPart(connection: NodeConnection, text: string): Promise<StatementShape> {
  if (connection.transactionStatus === 'idle') return connection.describe(text);
  await connection.query({ text: 'SAVEPOINT shardwright_described', simple: true });
  try {
    return await connection.describe(text);
  } catch (error) {
    await connection.query({ text: 'ROLLBACK TO SAVEPOINT shardwright_described', simple: true });
    throw error;
  } finally {
    await connection.query({ text: 'RELEASE SAVEPOINT shardwright_described', simple: true });
  }
}

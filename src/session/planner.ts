import { createHash } from 'node:crypto';
import type { Node } from '@pgsql/types';
import { namedRelations } from '../analyze/analyze-statement.ts';
import { RelationNames } from '../analyze/relation-names.ts';
import { ClusterError } from '../base/errors.ts';
import { LruMap } from '../base/lru.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { lookupsWrittenThrough } from '../catalog/unique-lookup.ts';
import { type FanOutMemory, fanOutMemory } from '../execute/fan-out-tasks.ts';
import { RenderedTexts } from '../plan/bind.ts';
import type { Describe } from '../plan/describe.ts';
import type { FanOut } from '../plan/fan-out.ts';
import { dependsOnSession, type KnownSession, withSession } from '../plan/known-session.ts';
import { describableText } from '../plan/lookups/upserting-insert.ts';
import type { PlannedUpsertStep } from '../plan/lookups/upsert-plan.ts';
import type { PlanInput } from '../plan/plan-select.ts';
import { planStatement } from '../plan/plan-statement.ts';
import { mayDraw } from '../plan/drawn-values.ts';
import { parameterNumbers } from '../plan/shard-template.ts';
import type { Statistics } from '../plan/staged/statistics.ts';
import type { SpreadModify, StatementPlan } from '../plan/statement-plan.ts';
import { withoutMisreadTimes } from '../plan/misread-times.ts';
import type { Finishing } from '../plan/select/select-context.ts';
import type { Statement } from '../sql/parse.ts';
import { parseStatements } from '../sql/parse.ts';
import { checkStandardStrings } from '../sql/standard-strings.ts';
import { alsoCalling, effectsOfDefinition, type SequenceEffects, sequenceEffects, withoutCalls } from './sequence-effects.ts';
import { KnownCode } from './known-code.ts';
import { KnownShapes } from './known-shapes.ts';
import { LiftedTexts } from './lifted-texts.ts';
import { isTimeless } from './timeless-text.ts';

/** The row that is there is locked, and then updated. */
export interface PreparedStep {
  readonly lock: PreparedPlan;
  readonly update: PreparedPlan;
}

/** A plan with what its runs have in common. */
export class PreparedPlan {
  readonly texts: RenderedTexts | undefined;
  readonly #fanOuts: WeakMap<FanOut, FanOutMemory>;
  readonly #spreads: WeakMap<SpreadModify, RenderedTexts>;
  /** Texts of one-row inserts by ordinal. */
  readonly insertTexts: (string | undefined)[] = [];
  /**
   * How many values the statement needs; -1 when no number is right, since a parameter is left out. Undefined where the server that
   * gets the text itself will say.
   */
  readonly parameters: number | undefined;
  /** Some part of it turned out to be much larger than it was chosen by: whoever comes next plans again. */
  #isOutgrown = false;
  /** It reads or defines tables that the snapshot takes for local ones. Those that it writes are fenced themselves. */
  readonly readsLocalTables: boolean;
  /** It may write to tables with unique lookups, which then have to be written as well. */
  readonly keepsLookups: boolean;
  /** Its nodes may take values of sequences. */
  readonly mayDraw: boolean;
  readonly #isTimeless: boolean;
  readonly #dependsOnSession: boolean;
  /** The plan for any session, of which this is the one for a session that is known. */
  readonly #general: PreparedPlan | undefined;
  /** The same for one shard, once a unique lookup has told which. */
  readonly lookedUp: PreparedPlan | undefined;
  /** What is run instead for a row whose key in a unique lookup is taken, unless that is nothing. */
  readonly upsert: (PreparedStep & { readonly set: PreparedStep | undefined }) | undefined;
  /** Of an INSERT of a query's rows: the query, and the INSERT of some of them. */
  readonly queried: { readonly source: PreparedPlan; readonly insert: PreparedPlan } | undefined;
  #runs = 0;
  #tag: string | undefined;
  #sequenceEffects: SequenceEffects | undefined;
  #unseenEffects: SequenceEffects | undefined;

  constructor(
    readonly plan: StatementPlan,
    readonly snapshot: CatalogSnapshot,
    readonly statement: Statement,
    general?: PreparedPlan,
  ) {
    this.#general = general;
    this.#fanOuts = general === undefined ? new WeakMap() : general.#fanOuts;
    this.#spreads = general === undefined ? new WeakMap() : general.#spreads;
    this.#dependsOnSession = general === undefined && dependsOnSession(plan);
    this.texts = general !== undefined ? general.texts : plan.kind === 'select' || plan.kind === 'modify' ? new RenderedTexts(plan.whole) : undefined;
    this.parameters = plan.kind === 'coordinator' || plan.kind === 'utility' || plan.kind === 'materialize' || plan.kind === 'made_by_query' ? undefined : valuesNeeded(plan, statement);
    this.keepsLookups = writesLookups(plan, snapshot);
    const lookedUp = plan.kind === 'select' || plan.kind === 'modify' ? plan.lookedUp : undefined;
    this.lookedUp = lookedUp === undefined ? undefined : new PreparedPlan(lookedUp.plan, snapshot, lookedUp.statement);
    const upsert = plan.kind === 'insert' ? plan.upsert?.taken : undefined;
    const step = ({ plan: own, statement: text }: PlannedUpsertStep<StatementPlan>): PreparedPlan => new PreparedPlan(own, snapshot, text);
    this.upsert = upsert === undefined ? undefined : { lock: step(upsert.lock), update: step(upsert.update), set: upsert.set === undefined ? undefined : { lock: step(upsert.set.lock), update: step(upsert.set.update) } };
    this.queried = plan.kind === 'queried_insert' ? { source: step(plan.source), insert: step(plan.insert) } : undefined;
    this.#isTimeless = isTimeless(statement);
    this.mayDraw = plan.kind === 'modify' && ((/nextval|default/i.test(statement.text) && mayDraw(statement.node)) || namesView(statement.node, snapshot));
    this.readsLocalTables = plan.kind === 'coordinator' && (readsTables(statement.node) || definesTables(statement.node) || changesTimePartitions(plan.text));
  }

  get isOutgrown(): boolean {
    return this.#isOutgrown;
  }

  outgrow(): void {
    this.#isOutgrown = true;
    this.#general?.outgrow();
  }

  /** What a run may do to sequences beside taking the values that the cluster supplies. */
  get sequenceEffects(): SequenceEffects {
    this.#sequenceEffects ??= this.#general?.sequenceEffects ?? effectsOf(this.plan, this.statement);
    return this.#sequenceEffects;
  }

  /** The same beside calls of nextval whose results the cluster sees, once it has run. */
  get unseenEffects(): SequenceEffects {
    this.#unseenEffects ??= this.#general?.unseenEffects ?? withoutCalls(this.sequenceEffects, seenCalls(this.plan));
    return this.#unseenEffects;
  }

  /** The plan for a session of which this is known. Shares what runs have in common. */
  knowing(session: KnownSession | undefined): PreparedPlan {
    if (session === undefined || !this.#dependsOnSession) return this;
    return new PreparedPlan(withSession(this.plan, session), this.snapshot, this.statement, this);
  }

  /** For a run: what its texts are prepared under (`NodeQuery.repeats`), once there have been some; undefined before, and where a server must parse them each time. */
  repeats(): number | undefined {
    if (this.#general !== undefined) return this.#general.repeats();
    if (!this.#isTimeless) return undefined;
    this.#runs += 1;
    return this.#runs > runsMin ? this.snapshot.version : undefined;
  }

  /**
   * What a prepared statement of the caller's is called on servers: by its text too, since many callers, each with names of their own,
   * share connections; and by the shards in the text. A name may have 63 bytes.
   */
  serverName(name: string | undefined, shards: readonly number[]): string | undefined {
    if (name === undefined) return undefined;
    this.#tag ??= hashOf(this.statement.text);
    const suffix = shards.length === 0 ? this.#tag : `${this.#tag}_${shards.join('_')}`;
    const full = `${name}_${suffix}`;
    return full.length * bytesPerCharacterMax <= nameBytesMax || Buffer.byteLength(full) <= nameBytesMax ? full : hashOf(full);
  }

  spreadTexts(spread: SpreadModify): RenderedTexts {
    const known = this.#spreads.get(spread);
    if (known !== undefined) return known;
    const texts = new RenderedTexts(spread.template);
    this.#spreads.set(spread, texts);
    return texts;
  }

  memoryOf(fanOut: FanOut): FanOutMemory {
    const known = this.#fanOuts.get(fanOut);
    if (known !== undefined) return known;
    const memory = fanOutMemory(fanOut);
    this.#fanOuts.set(fanOut, memory);
    return memory;
  }
}

/** What PostgreSQL itself would refuse is refused in its words, before ours. */
async function planOrRefuse(statement: Statement, input: PlanInput): Promise<StatementPlan> {
  try {
    return await planStatement(statement, input);
  } catch (error) {
    if (error instanceof ClusterError && error.code === '0A000') await input.describe.statement(describableText(statement, new RelationNames(input.snapshot, input.searchPath)));
    throw error;
  }
}

/** A statement that is run more often than this is prepared on the connections that it runs on. */
const runsMin = 5;
const nameBytesMax = 63;
const bytesPerCharacterMax = 3;

function hashOf(text: string): string {
  return createHash('sha1').update(text).digest('base64url');
}

function valuesNeeded(plan: StatementPlan, { node }: Statement): number {
  const ours = plan.kind === 'modify' && plan.sequences.length + plan.whole.draws.length > 0;
  const numbers = (plan.kind === 'select' || plan.kind === 'modify') && !ours ? plan.whole.parameters : parameterNumbers(node);
  return numbers.every((number, i) => number === i + 1) ? numbers.length : -1;
}

function effectsOf(plan: StatementPlan, statement: Statement): SequenceEffects {
  if (plan.kind === 'definition' || plan.kind === 'utility') return effectsOfDefinition(statement);
  const effects = sequenceEffects(statement, plan.kind === 'insert' || plan.kind === 'queried_insert' ? [plan.table] : plan.kind === 'select' || plan.kind === 'modify' ? plan.tables : []);
  return alsoCalling(effects, evaluatedDefaults(plan));
}

/** Expressions that no caller has written, and that the coordinator database may evaluate for the rows. */
function evaluatedDefaults(plan: StatementPlan): string[] {
  if (plan.kind === 'insert') return plan.computed.flatMap((value) => (value.kind === 'expression' ? [value.sql] : []));
  if (plan.kind !== 'modify') return [];
  return plan.tables.flatMap(({ kind, columns }) => columns.flatMap(({ default: meant }) => {
    const isEvaluated = meant?.kind === 'expression' && (meant.ofCoordinator === true || (kind === 'reference' && meant.volatility !== 'immutable'));
    return isEvaluated ? [meant.sql] : [];
  }));
}

/** Sequences of which the cluster sees what is taken, as often as each is. */
function seenCalls(plan: StatementPlan): string[] {
  if (plan.kind === 'insert') return plan.computed.flatMap((value) => (value.kind === 'expression' && value.nextOf !== undefined ? [value.nextOf] : []));
  return plan.kind === 'modify' ? plan.whole.draws.flatMap(({ kind, sequence, places, eachRow }) => (kind === 'called' && eachRow ? Array.from({ length: places }, () => sequence) : [])) : [];
}

function writesLookups(plan: StatementPlan, { lookups }: CatalogSnapshot): boolean {
  if (lookups.length === 0) return false;
  if (plan.kind === 'insert') return lookupsWrittenThrough(lookups, [plan.table]).length > 0;
  return (plan.kind === 'modify' || plan.kind === 'truncate') && lookupsWrittenThrough(lookups, plan.tables).length > 0;
}

/** Whether it may read a view whose query is a part of the plan. */
function namesView(node: Node, { dependentViews }: CatalogSnapshot): boolean {
  if (dependentViews.size === 0) return false;
  const names = new Set([...dependentViews.values()].map(({ name }) => name));
  return namedRelations(node).some(({ relname = '' }) => names.has(relname));
}

/** Statements beside writes that read what they name, or keep for later what a query reads now. */
const readers: ReadonlySet<string> = new Set(['SelectStmt', 'MergeStmt', 'DeclareCursorStmt', 'CreateTableAsStmt', 'RefreshMatViewStmt']);

/** Whether a query or write names a relation to read that may be a table of the user's. */
function readsTables(node: Node): boolean {
  // What EXECUTE runs, nobody can see here.
  if ('ExecuteStmt' in node) return true;
  const write = 'InsertStmt' in node ? node.InsertStmt : 'UpdateStmt' in node ? node.UpdateStmt : 'DeleteStmt' in node ? node.DeleteStmt : undefined;
  if (write === undefined && !readers.has(Object.keys(node)[0] ?? '')) return false;
  return namedRelations(node).some((relation) => relation !== write?.relation && relation.schemaname !== 'pg_catalog' && relation.schemaname !== 'information_schema');
}

/** Of a table that is local, as far as is known. */
function changesTimePartitions(text: string): boolean {
  return /shardwright\.(create|drop_old)_time_partitions/.test(text);
}

const definitions: ReadonlySet<string> = new Set([
  'AlterTableStmt', 'IndexStmt', 'RenameStmt', 'DropStmt', 'AlterObjectSchemaStmt', 'CommentStmt', 'GrantStmt', 'CreateTrigStmt', 'CreatePolicyStmt', 'AlterPolicyStmt', 'CreateStatsStmt',
]);

/** Whether it changes a definition, and may do so in a transaction. */
function definesTables(node: Node): boolean {
  const concurrent = ('IndexStmt' in node && node.IndexStmt.concurrent === true) || ('DropStmt' in node && node.DropStmt.concurrent === true);
  const detaches = 'AlterTableStmt' in node && (node.AlterTableStmt.cmds ?? []).some((one) => 'AlterTableCmd' in one && /Partition/.test(one.AlterTableCmd.subtype ?? ''));
  return !concurrent && !detaches && definitions.has(Object.keys(node)[0] ?? '');
}

export interface PlanRequest {
  readonly snapshot: CatalogSnapshot;
  readonly searchPath: readonly string[];
  readonly describe: Describe;
  readonly statistics: Statistics;
  /** False where the description may see what only one transaction sees. */
  readonly cache: boolean;
  readonly finishing?: Finishing | undefined;
  /** The session's texts of times may mean other moments to servers. */
  readonly misreadsTimes?: boolean | undefined;
}

const capacity = 2_000;
const longTextMin = 100_000;
/** A plan takes 100 to 200 bytes for each character of its text. */
const weighing = { max: 1_000_000, of: (text: string) => text.length };

/** Parses and plans each text once per catalog version and search path. */
export class Planner {
  readonly shapes = new KnownShapes();
  readonly code = new KnownCode();
  readonly lifted = new LiftedTexts((text) => this.statements(text));
  readonly #statements = new LruMap<string, readonly Statement[]>(capacity, weighing);
  readonly #plans = new LruMap<string, PreparedPlan>(capacity, weighing);

  /** The cached plan of a one-statement text under the default search path: the hot path. */
  cached(text: string, snapshot: CatalogSnapshot): PreparedPlan | undefined {
    const prepared = this.#plans.get(text);
    return prepared !== undefined && prepared.snapshot === snapshot && !prepared.isOutgrown ? prepared : undefined;
  }

  /** The statement of a text that was parsed before and has only one. */
  parsed(text: string): Statement | undefined {
    const statements = this.#statements.get(text);
    return statements?.length === 1 ? statements[0] : undefined;
  }

  /** Throws `syntaxError`, and `unsupportedQuery` for what would have later texts read otherwise. */
  statements(text: string): readonly Statement[] {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statements = text === '' ? [] : parseStatements(text);
    checkStandardStrings(statements);
    if (text.length < longTextMin) this.#statements.set(text, statements);
    return statements;
  }

  async plan(statement: Statement, { snapshot, searchPath, describe, statistics, cache, finishing, misreadsTimes }: PlanRequest): Promise<PreparedPlan> {
    const key = searchPath === snapshot.server.searchPath ? statement.text : JSON.stringify([statement.text, searchPath]);
    const known = this.#plans.get(key);
    if (cache && known !== undefined && known.snapshot === snapshot && !known.isOutgrown) return known;
    const plan = await planOrRefuse(statement, { snapshot, searchPath, describe, statistics, finishing });
    const prepared = new PreparedPlan(misreadsTimes === true ? withoutMisreadTimes(plan) : plan, snapshot, statement);
    if (cache && statement.text.length < longTextMin) this.#plans.set(key, prepared);
    return prepared;
  }
}

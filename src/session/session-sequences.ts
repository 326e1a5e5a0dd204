import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { tableByOid } from '../catalog/table-by-oid.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import { drawCalled } from '../execute/write/draw-called.ts';
import type { LastDrawn, SequenceBlocks, SequenceUse, SequenceValues } from '../execute/write/sequence-blocks.ts';
import type { TakenRuns } from '../execute/write/sequence-runs.ts';
import type { ComputedPlan, CurrentValue } from '../plan/computed/computed-plan.ts';
import type { Draw } from '../plan/drawn-values.ts';
import { unsupported } from '../plan/select/unsupported.ts';
import { quoteLiteral } from '../sql/identifiers.ts';
import { closeParameterGaps } from '../sql/parameters.ts';
import type { Statement } from '../sql/parse.ts';
import type { PreparedPlan } from './planner.ts';
import { plainCall, type SequenceEffects, sequenceEffects } from './sequence-effects.ts';
import { observedScope } from './observed-scope.ts';
import { keptFromNow } from './positioned-error.ts';
import { mayTake, onlySequence, readSequenceFacts } from './sequence-facts.ts';
import { type LastValue, SequenceHistory } from './sequence-history.ts';

/** What it must know of its session. */
export interface SequenceSession {
  /** Where values are taken now. */
  blocks(): SequenceBlocks | Promise<SequenceBlocks>;
  /** Forgets values that were taken, and not given out. */
  forget(): void;
  /** Runs something on the session's connection to the coordinator database, which it keeps from then on. */
  onKept<T>(work: (connection: NodeConnection) => Promise<T>): Promise<T>;
  /** Values have been taken, perhaps by another role than the session acts as: asks whether this one may. Throws 42501. */
  checkUsage(sequence: number): Promise<void>;
}

/** Values of sequences for statements, and answers to what they ask of them. */
export interface StatementSequences extends SequenceValues {
  /** See `SessionSequences`. */
  current(asking: Asking): Promise<CurrentValues | 'as_it_is'>;
}

export type CurrentValues = ReadonlyMap<CurrentValue, string | null>;

/** A statement that calls currval or lastval, and is about to run. */
export interface Asking {
  readonly plan: ComputedPlan;
  readonly values: readonly unknown[];
  readonly scope: StatementScope;
}

/** A session's part in sequences: it takes values for its statements, and knows the last of them, for `currval` and `lastval`. */
export class SessionSequences implements StatementSequences {
  readonly #history = new SequenceHistory();
  /** Of those that values were taken of. */
  readonly #oids = new Map<string, number>();
  #namesBySearchPath = false;
  #blocks = 0;
  #areSet = false;

  constructor(private readonly session: SequenceSession) {}

  async next(sequence: string, count: number): Promise<string[]> {
    const { oid, values } = await (await this.session.blocks()).take(sequence, count);
    await this.session.checkUsage(oid);
    const last = values.at(-1);
    if (last !== undefined) this.#history.gave(oid, last);
    this.#oids.set(sequence, oid);
    return values;
  }

  async nextOfEach(sequences: readonly string[]): Promise<string[]> {
    const values = new Map<string, string[]>();
    for (const sequence of new Set(sequences)) values.set(sequence, await this.next(sequence, sequences.filter((other) => other === sequence).length));
    if (values.size > 1) this.#history.lastIsUncertain();
    return sequences.map((sequence) => values.get(sequence)?.shift() ?? '');
  }

  used(uses: readonly SequenceUse[]): void {
    for (const { by, sequence, value } of uses) {
      if (by === 'server') this.#history.called({ sequence, sets: false, value });
      // What `next` gave is noted, and is the last unless there is more.
      else if (uses.length > 1) this.#history.gave(present(this.#oids.get(sequence)), value);
    }
  }

  async draw(scope: StatementScope, draw: Draw, count: number): Promise<TakenRuns> {
    const taken = draw.kind === 'default' ? await this.#ofColumn(draw.sequence, count) : await drawCalled(scope, await this.session.blocks(), { draw, count });
    this.#history.gaveSome(taken.oid);
    return taken;
  }

  async #ofColumn(sequence: string, count: number): Promise<TakenRuns> {
    const taken = await (await this.session.blocks()).takeRuns(sequence, count);
    await this.session.checkUsage(taken.oid);
    return taken;
  }

  nextBlock(): number {
    this.#blocks += 1;
    return this.#blocks;
  }

  drew(last: readonly LastDrawn[]): void {
    for (const { oid, value } of last) this.#history.gave(oid, value);
    if (last.length > 1) this.#history.lastIsUncertain();
  }

  forget(): void {
    this.session.forget();
  }

  /** Runs a plan, and notes what it may take: before, since it may fail, and behind, where the cluster gave it values meanwhile. */
  noting<T>(prepared: PreparedPlan, run: () => Promise<T>): Promise<T> {
    this.begins(prepared);
    const running = run();
    if (prepared.sequenceEffects.kind === 'none') return running;
    return running.then((result) => {
      this.ended(prepared, true);
      return result;
    }, (error: unknown) => {
      this.ended(prepared, false);
      throw error;
    });
  }

  /** A plan is about to run. One that asks for last values asks for those before. */
  begins({ plan, sequenceEffects: effects }: PreparedPlan): void {
    this.#forgetSet();
    if (plan.kind !== 'computed') this.#history.ran(effects);
  }

  /** It has run. */
  ended(prepared: PreparedPlan, isDone: boolean): void {
    this.#forgetSet();
    const { plan, sequenceEffects: effects } = prepared;
    if (plan.kind === 'computed') this.#history.ran(effects);
    else this.#history.hasRun(effects, isDone ? prepared.unseenEffects : effects);
  }

  /** The statement that runs now runs code that may set sequences: what was taken of them before means nothing behind it. */
  mayBeSet(): void {
    this.#areSet = true;
  }

  #forgetSet(): void {
    if (this.#areSet) this.session.forget();
    this.#areSet = false;
  }

  /** A scope for a write of the coordinator database alone, outside of transactions, which then needs no `noting`. */
  observing(scope: StatementScope, { sequenceEffects: effects }: Pick<PreparedPlan, 'sequenceEffects'>): StatementScope {
    return observedScope(scope, (observed) => {
      this.#forgetSet();
      if (observed === undefined) this.#history.ran(effects);
      else this.#history.saw(effects, observed);
    });
  }

  /** What ran before has come to its end. */
  settled(): void {
    this.#history.settled();
  }

  /** The same of a COPY. */
  async copying<T>(statement: Statement, run: () => Promise<T>): Promise<T> {
    const effects = sequenceEffects(statement);
    this.#history.ran(effects);
    try {
      return await run();
    } finally {
      this.#forgetSet();
      this.#history.hasRun(effects, effects);
    }
  }

  connected(isThere: boolean): void {
    if (isThere) this.#history.connected();
    else this.#history.disconnected();
  }

  /** DISCARD SEQUENCES. */
  discard(): void {
    this.#history.discard();
  }

  /** Settings have changed. `hasSearchPath`: the session now has a search path of its own. */
  settingsChanged(hasSearchPath: boolean): void {
    if (hasSearchPath || this.#namesBySearchPath) this.#history.renamed();
    this.#namesBySearchPath = hasSearchPath;
  }

  /** A statement that called nextval or setval alone has run, and given `value`. */
  answered(statement: Statement, value: unknown): void {
    const call = plainCall(statement);
    if (call === undefined) return;
    if (typeof value === 'string' && /^-?\d+$/.test(value)) this.#history.called({ ...call, value });
    else if (typeof value === 'bigint' || Number.isSafeInteger(value)) this.#history.called({ ...call, value: String(value) });
  }

  /**
   * The values, in order, of what a statement asks for; `as_it_is`: it takes values itself, of sequences of which the session has no values but those of its own connection, and so runs there as it is. Throws what the server says (55000 where
   * there is none); `unsupportedQuery` where nobody can say.
   */
  async current({ plan, values, scope }: Asking): Promise<CurrentValues | 'as_it_is'> {
    const own = sequenceEffects(plan.asked);
    const answers = new Map<CurrentValue, string | null>();
    let taken: CurrentValue | undefined;
    let isAllOnServer = true;
    for (const input of plan.inputs) {
      if (input.kind !== 'current_value') continue;
      const named = input.sequence === undefined ? undefined : await namedSequence(scope, input.sequence, { values, taken: plan.takes });
      if (named?.oid === null) answers.set(input, null);
      else {
        const { last, ownTakes } = await this.#lastOf(named, { own, plan, scope });
        isAllOnServer &&= last.onServer;
        if (ownTakes) {
          taken = input;
          continue;
        }
        const call = callOf(input, values);
        answers.set(input, named?.isAllowed === false ? await this.#ofServer(call) : await this.#valueOf(last, { call, scope, input }));
      }
    }
    if (taken === undefined) return answers;
    // The server would answer all of them.
    if (isAllOnServer && plan.plan.kind === 'coordinator') return 'as_it_is';
    throw unsupported(`The statement may itself take values of the sequence that ${nameOf(taken)}() is asked of.`, 'Ask in a statement of its own, and pass the value as a parameter.');
  }

  /** Each of what ran costs a look-up of milliseconds, and the latest mostly tells: of the rest it is asked where it does not. */
  async #lastOf(named: NamedSequence | undefined, asking: LastAsking): Promise<LastOf> {
    const all = this.#history.effects;
    const latest = this.#history.effectsSinceGiven(named?.oid ?? undefined).slice(0, latestMax);
    const found = await this.#lastBy(latest, named, asking);
    return found.last.kind === 'value' || latest.length === all.length ? found : this.#lastBy(all, named, asking);
  }

  /** Whatever ran that is not among the effects is taken for something that may have done anything. So a value that is found is the last. */
  async #lastBy(known: readonly SequenceEffects[], named: NamedSequence | undefined, { own, plan, scope }: LastAsking): Promise<LastOf> {
    const sequence = named?.oid ?? undefined;
    const asked = new Set([...known, own]);
    const facts = await readSequenceFacts(scope, [...asked].flatMap((one) => (one.kind === 'named' ? [one] : [])), this.#history.calledSequences);
    const judging = { facts, supplied: (relation: number) => tableByOid(scope.snapshot, relation) !== undefined };
    const taking = (effects: SequenceEffects, of: number | undefined): boolean => !asked.has(effects) || mayTake(effects, of, judging);
    return {
      last: this.#history.last({ sequence, oidOf: (name) => facts.sequences.get(name), mayTake: taking, onlySequence: (effects) => (asked.has(effects) ? onlySequence(effects, judging) : undefined) }),
      ownTakes: (named === undefined ? plan.takes.length > 0 : named.isTaken) || taking(own, sequence),
    };
  }

  async #valueOf(last: LastValue, { call, scope, input }: { readonly call: ServerCall; readonly scope: StatementScope; readonly input: CurrentValue }): Promise<string | null> {
    switch (last.kind) {
      case 'server':
        return last.isKnown && last.value === undefined ? this.#ofServer(call) : this.#ofServerOr(last.value, { call, scope, input });
      case 'value':
        return input.sequence === undefined ? checkedLast(scope, last.oid, last.value) : last.value;
      case 'unknown':
        // Of what is taken from now on the connection can be asked.
        await this.session.onKept(() => Promise.resolve());
        throw notKnown(input);
    }
  }

  #ofServer({ text, values }: ServerCall): Promise<string | null> {
    return this.session.onKept(async (connection) => at(at((await connection.query({ text, values })).rows, 0), 0));
  }

  /** A failure must leave a transaction block as it was. */
  async #ofServerOr(value: string | undefined, { call, scope, input }: { readonly call: ServerCall; readonly scope: StatementScope; readonly input: CurrentValue }): Promise<string | null> {
    const asked = await scope.undoable();
    try {
      const told = await this.#ofServer(call);
      await asked.keep();
      return told;
    } catch (error) {
      await asked.undo();
      if (!isNotDefined(error)) throw error;
      if (value === undefined) throw notKnown(input);
      return value;
    }
  }
}

/** Of so many it is asked at first. */
const latestMax = 4;

interface LastAsking {
  readonly own: SequenceEffects;
  readonly plan: ComputedPlan;
  readonly scope: StatementScope;
}

interface LastOf {
  readonly last: LastValue;
  /** Whether the statement that asks may itself take values. */
  readonly ownTakes: boolean;
}

interface ServerCall {
  readonly text: string;
  readonly values: readonly unknown[];
}

function nameOf({ sequence }: CurrentValue): string {
  return sequence === undefined ? 'lastval' : 'currval';
}

function callOf({ sequence }: CurrentValue, values: readonly unknown[]): ServerCall {
  const { text, numbers } = closeParameterGaps(sequence === undefined ? 'SELECT pg_catalog.lastval()' : `SELECT pg_catalog.currval(${sequence})`);
  return { text, values: numbers.map((number) => values[number - 1]) };
}

interface NamedSequence {
  /** Null where the name is NULL. */
  readonly oid: number | null;
  /** Whether the session's role may ask for its value. */
  readonly isAllowed: boolean;
  /** Whether it is one of those given. */
  readonly isTaken: boolean;
}

/** What an expression names, in PostgreSQL's own words where that is nothing, or no sequence. */
async function namedSequence(scope: StatementScope, name: string, { values, taken }: { readonly values: readonly unknown[]; readonly taken: readonly string[] }): Promise<NamedSequence> {
  const list = taken.map((one) => `pg_catalog.to_regclass(${quoteLiteral(one)})`).join(', ');
  const { text, numbers } = closeParameterGaps(`SELECT s::pg_catalog.oid, CASE WHEN c.relkind = 'S' THEN pg_catalog.has_sequence_privilege(s, 'USAGE, SELECT') END, s = ANY (ARRAY[${list}]::pg_catalog.regclass[])
    FROM (SELECT CAST((${name}) AS pg_catalog.regclass)) AS named(s) LEFT JOIN pg_catalog.pg_class c ON c.oid = s`);
  const { rows } = await scope.run(coordinatorNodeId, { text, values: numbers.map((number) => values[number - 1]) }, 'read');
  const [oid = null, isAllowed, isTaken] = at(rows, 0);
  return { oid: oid === null ? null : Number(oid), isAllowed: isAllowed === 't', isTaken: isTaken === 't' };
}

/** The sequence that was used last may be gone, or not be the role's to ask. */
async function checkedLast(scope: StatementScope, oid: number | null, value: string): Promise<string> {
  const { rows } = await scope.run(coordinatorNodeId, { text: `SELECT relname, pg_catalog.has_sequence_privilege(oid, 'USAGE, SELECT') FROM pg_catalog.pg_class WHERE oid = $1 AND relkind = 'S'`, values: [oid] }, 'read');
  const [found] = rows;
  if (found === undefined) throw new ClusterError('invalidParameter', 'lastval is not yet defined in this session', { sqlState: '55000' });
  if (found[1] !== 't') throw new ClusterError('invalidParameter', `permission denied for sequence ${present(found[0])}`, { sqlState: '42501' });
  return value;
}

function isNotDefined(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55000';
}

function notKnown(input: CurrentValue): ClusterError {
  return new ClusterError('unsupportedQuery', `the value that ${nameOf(input)}() would give is not known`, {
    sqlState: '55000',
    detail: 'Something that ran in this session since then may have taken values of sequences in the coordinator database: a function, a trigger, or a default of a local table.',
    hint: `Use INSERT … RETURNING, or ask in the transaction block that takes the value. ${keptFromNow}`,
  });
}

import type { SequenceCall, SequenceEffects } from './sequence-effects.ts';

/** A value that the session was given, of a sequence by its OID. */
export interface GivenValue {
  readonly oid: number;
  readonly value: string;
  readonly order: number;
}

/** A call of nextval or setval alone, in the caller's words, and what it gave. */
export interface KnownCall extends SequenceCall {
  readonly value: string;
  readonly order: number;
}

interface Ran {
  readonly effects: SequenceEffects;
  last: number;
  /** When last before the session had its connection; 0: never. */
  before: number;
  /** When first since. */
  first: number | undefined;
  /** When before the last time; 0: never. */
  readonly earlier: number;
}

/** What is asked of a history. */
export interface HistoryQuestion {
  /** The sequence's OID; undefined for whichever was used last. */
  readonly sequence: number | undefined;
  /** The OID of a sequence that a known call names. */
  readonly oidOf: (name: string) => number | null | undefined;
  /** Whether a statement may have changed the last value of a sequence; without one, used any. */
  readonly mayTake: (effects: SequenceEffects, sequence: number | undefined) => boolean;
  /** The one sequence that a statement can have taken values of; undefined where there is another, or none. */
  readonly onlySequence: (effects: SequenceEffects) => number | undefined;
}

/**
 * The session's last value of a sequence. `server`: it is what the session's connection to the coordinator database says; where that has none, the session has none but `value`, if anybody can say (`isKnown`). `unknown`: something
 * ran meanwhile of which nobody can say what it took. `onServer`: what the session knows, that connection knows.
 */
export type LastValue =
  | { readonly kind: 'value'; readonly value: string; readonly oid: number | null; readonly onServer: boolean }
  | { readonly kind: 'server'; readonly value: string | undefined; readonly isKnown: boolean; readonly onServer: boolean }
  | { readonly kind: 'unknown'; readonly onServer: false };

/** A statement that ran on a connection of its own, and the value that it used last; null: none. */
interface Seen {
  readonly effects: SequenceEffects;
  readonly value: string | null;
  readonly order: number;
}

const unknown: LastValue = { kind: 'unknown', onServer: false };

const ranMax = 64;

/**
 * What a session has taken of sequences, in order: values that the cluster gave it, calls of nextval and setval whose results it saw, and statements that a server ran, which may have taken any. The server keeps what was taken
 * on one connection, for as long as the session has that; the cluster's values are not among them.
 */
export class SequenceHistory {
  #order = 0;
  readonly #given = new Map<number, GivenValue>();
  /** Of sequences whose last value nobody knows, since when. */
  readonly #unknown = new Map<number, number>();
  /** Undefined where one statement took values of several sequences, and the order among them is not known. */
  #lastGiven: { readonly given: GivenValue | undefined; readonly order: number } | undefined;
  readonly #calls = new Map<string, KnownCall>();
  readonly #ran = new Map<SequenceEffects, Ran>();
  readonly #seen = new Map<SequenceEffects, Seen>();
  /** What runs now: if the session gets a connection, it does so for this. */
  #running: Ran | undefined;
  /** What ran up to here may be forgotten. */
  #forgottenUntil = 0;
  #connectedSince: number | undefined;

  /** The last of some values. */
  gave(oid: number, value: string): void {
    const order = this.#next();
    const given = { oid, value, order };
    this.#given.set(oid, given);
    this.#lastGiven = { given, order };
  }

  /** Somebody has used values of the sequence, and nobody knows which was the last. */
  gaveSome(oid: number): void {
    const order = this.#next();
    this.#given.delete(oid);
    this.#unknown.set(oid, order);
    this.#lastGiven = { given: undefined, order };
  }

  /** The values before were of several sequences, and may have been taken in any order. */
  lastIsUncertain(): void {
    this.#lastGiven = { given: undefined, order: this.#next() };
  }

  called({ sequence, sets, value }: Omit<KnownCall, 'order'>): void {
    this.#calls.set(JSON.stringify([sequence, sets]), { sequence, sets, value, order: this.#next() });
    if (this.#calls.size > ranMax) this.#forgetAll();
  }

  /** A statement is about to run, or has run since the last `settled`. */
  ran(effects: SequenceEffects): void {
    if (effects.kind === 'none') return;
    const order = this.#next();
    const known = this.#ran.get(effects);
    // The oldest is the first of them.
    this.#ran.delete(effects);
    const first = this.#connectedSince === undefined ? undefined : (known?.first ?? order);
    this.#running = { effects, last: order, before: first === undefined ? order : (known?.before ?? 0), first, earlier: known?.last ?? 0 };
    this.#ran.set(effects, this.#running);
    if (this.#ran.size <= ranMax) return;
    const [oldest] = this.#ran.values();
    if (oldest === undefined) return;
    this.#ran.delete(oldest.effects);
    this.#forgottenUntil = oldest.last;
  }

  /** A statement that was told to `ran` has come to its end. Where values were given for it, or calls seen, what it did `beside` may be later than these. */
  hasRun(effects: SequenceEffects, beside: SequenceEffects): void {
    if (this.#ran.get(effects)?.last !== this.#order) this.ran(beside);
  }

  /** A statement has run on a connection of its own, which was asked for the value that it used last. */
  saw(effects: SequenceEffects, value: string | null): void {
    this.#seen.set(effects, { effects, value, order: this.#next() });
    if (this.#seen.size > ranMax) this.#forgetAll();
  }

  /** What ran before has come to its end. */
  settled(): void {
    this.#running = undefined;
  }

  /** The session has a connection to the coordinator database, in which nobody has taken values yet. */
  connected(): void {
    const running = this.#running;
    this.disconnected();
    this.#connectedSince = this.#next();
    if (running === undefined) return;
    const order = this.#next();
    Object.assign(running, { before: running.earlier, first: order, last: order });
  }

  disconnected(): void {
    this.#connectedSince = undefined;
    for (const ran of this.#ran.values()) Object.assign(ran, { before: ran.last, first: undefined });
  }

  /** As in a new session. */
  discard(): void {
    this.#given.clear();
    this.#unknown.clear();
    this.#calls.clear();
    this.#ran.clear();
    this.#seen.clear();
    this.#lastGiven = undefined;
    this.#forgottenUntil = 0;
    if (this.#connectedSince !== undefined) this.connected();
  }

  /** Names mean something else from now on: what was named before is not known any more. */
  renamed(): void {
    if (this.#calls.size + this.#ran.size + this.#seen.size > 0) this.#forgetAll();
  }

  /** What ran, the latest first, of which is to be known what it takes before `last` is asked. */
  get effects(): readonly SequenceEffects[] {
    return this.#effectsSince(0);
  }

  /** The same without what ran before the cluster gave its last value: of a sequence, or of any. */
  effectsSinceGiven(sequence: number | undefined): readonly SequenceEffects[] {
    return this.#effectsSince((sequence === undefined ? this.#lastGiven : this.#given.get(sequence))?.order ?? 0);
  }

  #effectsSince(since: number): readonly SequenceEffects[] {
    const ran = [...this.#ran.values()].map(({ effects, last }) => ({ effects, order: last }));
    return [...ran, ...this.#seen.values()].filter(({ order }) => order > since).toSorted((a, b) => b.order - a.order).map(({ effects }) => effects);
  }

  /** Sequences, as calls name them. */
  get calledSequences(): readonly string[] {
    return [...this.#calls.values()].map(({ sequence }) => sequence);
  }

  last({ sequence, ...question }: HistoryQuestion): LastValue {
    if (sequence !== undefined) return this.#lastOf({ sequence, ...question, isTaker: (effects) => question.mayTake(effects, sequence) });
    const used = this.#lastUsed(question);
    if (used === 'uncertain') return unknown;
    // Whatever was set since is its value, too.
    const isTaker = (effects: SequenceEffects): boolean => question.mayTake(effects, undefined) || (used?.oid !== undefined && used.oid !== null && question.mayTake(effects, used.oid));
    return this.#lastOf({ sequence: used?.oid ?? undefined, ...question, isTaker, used });
  }

  #lastOf(question: ValueQuestion): LastValue {
    const known = this.#newest(question);
    const since = known?.order ?? 0;
    if (question.sequence !== undefined && (this.#unknown.get(question.sequence) ?? 0) > since) return unknown;
    const from = this.#connectedSince;
    const onServer = known === undefined || (known.onServer && from !== undefined && known.order > from);
    const all = [...this.#ran.values(), ...this.#unclear(question)].filter(({ effects }) => question.isTaker(effects));
    const takers = all.filter(({ last }) => last > since);
    const isForgotten = this.#forgottenUntil > since;
    if (takers.length === 0 && !isForgotten) return known === undefined ? { kind: 'server', value: undefined, isKnown: true, onServer } : { kind: 'value', value: known.value, oid: known.oid, onServer };
    if (from === undefined || (isForgotten && since > from) || !this.#toldByServer(question, { known, all, from })) return unknown;
    // What the connection knows is later than all that ran before there was one.
    const isKnown = !isForgotten && takers.every(({ before }) => before <= since);
    return { kind: 'server', value: isKnown ? known?.value : undefined, isKnown, onServer: onServer && isKnown };
  }

  /** The server knows what was taken in its connection, but not whether that was before or after a value that the cluster gave meanwhile. */
  #toldByServer(question: ValueQuestion, { known, all, from }: { readonly known: Known | undefined; readonly all: readonly Ran[]; readonly from: number }): boolean {
    if ('used' in question && all.some(({ effects, last }) => last > from && effects.kind === 'unknown' && effects.ours)) return false;
    if (known === undefined || known.onServer || known.order < from) return true;
    // Something that is forgotten may have taken its value there before.
    if (this.#forgottenUntil > from) return false;
    const isBefore = (order: number | undefined): boolean => order !== undefined && order > from && order < known.order;
    return !all.some(({ first }) => isBefore(first)) && !this.#callsOf(question).some(({ order }) => isBefore(order));
  }

  /** What ran on connections of its own, and may have used several sequences. */
  #unclear({ onlySequence }: ValueQuestion): Ran[] {
    return [...this.#seen.values()].filter(({ effects }) => onlySequence(effects) === undefined).map(({ effects, order }) => ({ effects, last: order, before: order, first: undefined, earlier: order }));
  }

  #callsOf({ sequence, ...question }: Pick<ValueQuestion, 'sequence' | 'oidOf' | 'onlySequence'>): Known[] {
    return this.#known(question).filter(({ oid, sets }) => (sequence === undefined ? !sets : oid === sequence));
  }

  #known({ oidOf, onlySequence }: Pick<HistoryQuestion, 'oidOf' | 'onlySequence'>): KnownUse[] {
    const called = [...this.#calls.values()].map(({ sequence, sets, value, order }): KnownUse => ({ value, order, oid: oidOf(sequence) ?? null, onServer: true, sets }));
    const seen = [...this.#seen.values()].flatMap(({ effects, value, order }): KnownUse[] => {
      const oid = onlySequence(effects);
      return oid === undefined || value === null ? [] : [{ value, order, oid, onServer: false, sets: false }];
    });
    return [...called, ...seen];
  }

  #lastUsed(question: Pick<HistoryQuestion, 'oidOf' | 'onlySequence'>): Known | 'uncertain' | undefined {
    const call = newest(this.#known(question).filter(({ sets }) => !sets));
    const last = this.#lastGiven;
    if (last === undefined || last.order < (call?.order ?? 0)) return call;
    return last.given === undefined ? 'uncertain' : { ...last.given, onServer: false };
  }

  #newest(question: ValueQuestion): Known | undefined {
    const { sequence, used } = question;
    if (sequence === undefined) return used;
    const given = this.#given.get(sequence);
    return newest([...this.#callsOf(question), ...(given === undefined ? [] : [{ ...given, onServer: false }])]);
  }

  #forgetAll(): void {
    this.#calls.clear();
    this.#ran.clear();
    this.#seen.clear();
    this.#forgottenUntil = this.#next();
  }

  #next(): number {
    this.#order += 1;
    return this.#order;
  }
}

function newest<T extends Known>(all: readonly T[]): T | undefined {
  return all.toSorted((a, b) => b.order - a.order)[0];
}

interface ValueQuestion {
  /** Undefined where none is known to have been used. */
  readonly sequence: number | undefined;
  readonly oidOf: HistoryQuestion['oidOf'];
  readonly onlySequence: HistoryQuestion['onlySequence'];
  readonly isTaker: (effects: SequenceEffects) => boolean;
  /** The last use of a sequence, where that is asked for. */
  readonly used?: Known | undefined;
}

interface KnownUse extends Known {
  readonly sets: boolean;
}

interface Known {
  readonly value: string;
  readonly order: number;
  readonly oid: number | null;
  /** It was taken on the session's own connection, if it had one. */
  readonly onServer: boolean;
}

import { compareOutcomes, isRefusal } from '../oracle/compare-outcomes.ts';
import type { Difference } from '../oracle/compare-outcomes.ts';
import type { OracleCase, WriteCase } from '../oracle/oracle-case.ts';
import { runRaw } from '../oracle/outcome.ts';
import type { Connectable, Outcome } from '../oracle/outcome.ts';
import { compareWrites } from '../oracle/pair.ts';
import type { Pair } from '../oracle/pair.ts';
import { Random } from '../oracle/random.ts';
import { makeSelect } from './generate-select.ts';
import { makeWrites } from './generate-writes.ts';
import type { Select } from './query-tree.ts';
import { selectCase } from './select-case.ts';
import { partitioned } from './wide/partition.ts';
import { shrink, smallerLists, smallerSelects } from './shrink.ts';

export type Find =
  | { readonly kind: 'read'; readonly seed: number; readonly found: OracleCase; readonly differences: readonly Difference[] }
  | { readonly kind: 'write'; readonly seed: number; readonly found: WriteCase; readonly differences: readonly Difference[] };

export interface Trial {
  /** Statements run: 1, or the steps of a write case. */
  readonly statements: number;
  readonly outcome: 'agreed' | 'both_failed' | 'escaped' | 'refused' | 'differed' | 'too_slow';
  /**
   * The query that plain PostgreSQL fails at and the cluster answers: which of several conditions is looked at first, SQL leaves open. To be looked at by people, since a
   * row that was lost may be the reason, too.
   */
  readonly escaped?: string;
  readonly refusal?: string;
  readonly find?: Find;
  /** Set where the cluster took very much longer. */
  readonly slow?: string;
}

/** How reading statements are made and run. */
export interface Hunting {
  readonly makeRead: (random: Random) => ReadStatement;
  /** Share of statements that only read. */
  readonly reads: number;
  /** Ways to run them, one of which a trial chooses. */
  readonly readers: readonly Reader[];
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Instead of the pair's. */
  readonly plain?: Connectable;
  /** Before version 18 PostgreSQL may sort the rows of grouping sets wrongly: it takes a constant column for constant where a set leaves it out, and is NULL. */
  readonly missortsGroupingSets?: boolean;
}

export interface ReadStatement {
  readonly select: Select;
  /** The cluster gets the query in three parts, by its first condition, which plain PostgreSQL gets without that condition. */
  readonly inParts: boolean;
}

/** Same rows and settings, reached otherwise. */
export interface Reader {
  readonly name: string;
  readonly cluster: Connectable;
  readonly inTransaction: boolean;
  /** Rewrites a statement: other tables with the same rows. */
  readonly rewrite?: (sql: string) => string;
}

/** One random case: a function of `seed` and the data. A difference comes back shrunk. */
export async function hunt(pair: Pair, seed: number, hunting: Hunting = plainHunting(pair)): Promise<Trial> {
  const random = new Random(seed);
  return random.chance(hunting.reads) ? huntRead(hunting.plain === undefined ? pair : { ...pair, plain: hunting.plain }, { seed, random, hunting }) : huntWrite(pair, seed, random);
}

export function plainHunting({ cluster }: Pair): Hunting {
  return { makeRead: (random) => ({ select: makeSelect(random), inParts: false }), reads: 0.85, readers: [{ name: 'cluster', cluster, inTransaction: false }], now: () => 0 };
}

/** A find is reported as small as it is after so long. */
const shrinkMs = 30_000;

interface ReadHunt {
  readonly seed: number;
  readonly random: Random;
  readonly hunting: Hunting;
}

async function huntRead(pair: Pair, { seed, random, hunting }: ReadHunt): Promise<Trial> {
  const reader = random.pick(hunting.readers);
  const { select: start, inParts } = hunting.makeRead(random);
  const caseOf = (select: Select): OracleCase & { readonly asked: OracleCase } => {
    const split = inParts ? partitioned(select) : undefined;
    return split === undefined ? { ...selectCase(select), asked: selectCase(select) } : { ...selectCase(split.whole), asked: selectCase(split.parts) };
  };
  const compare = (select: Select): Promise<Compared> => {
    const { asked, ...how } = caseOf(select);
    const trusted = hunting.missortsGroupingSets === true && select.grouping !== undefined ? withoutOrder(how, select) : how;
    return compareRead(pair, { how: trusted, asked, reader, now: hunting.now });
  };
  const { differences, bothFailed, tooSlow, slow } = await compare(start);
  const [first] = differences;
  if (tooSlow) return { statements: 1, outcome: 'too_slow' };
  if (first === undefined) return { statements: 1, outcome: bothFailed ? 'both_failed' : 'agreed', ...(slow === undefined ? {} : { slow }) };
  if (first.kind === 'refused') return { statements: 1, outcome: 'refused', refusal: first.text };
  if (/answered, but PostgreSQL fails: (?:21|22)/u.test(first.text)) return { statements: 1, outcome: 'escaped', escaped: `${first.text} (${reader.name}): ${selectCase(start).sql} -- ${JSON.stringify(selectCase(start).values ?? [])}` };
  if (first.text.startsWith('failed: 57014')) return { statements: 1, outcome: 'agreed', slow: `timed out (${reader.name}): ${selectCase(start).sql} -- ${JSON.stringify(selectCase(start).values ?? [])}` };
  const wanted = signatureOf(first);
  const until = hunting.now() + shrinkMs;
  const smallest = await shrink(start, smallerSelects, async (candidate) => hunting.now() < until && (await compare(candidate)).differences.some((difference) => signatureOf(difference) === wanted), 600);
  const found = caseOf(smallest).asked;
  const differing = (await compare(smallest)).differences;
  const sql = reader.rewrite === undefined ? found.sql : reader.rewrite(found.sql);
  return { statements: 1, outcome: 'differed', find: { kind: 'read', seed, found: { ...found, sql }, differences: [...differing, { kind: 'shape', text: `read by: ${reader.name}` }] } };
}

/** Rows are compared in any order, and where LIMIT took some of them, only their number. */
function withoutOrder(how: OracleCase, { limit, offset }: Select): OracleCase {
  return { ...how, order: [], ...(limit === undefined && offset === undefined ? {} : { choosesFreely: true }) };
}

interface Compared {
  readonly differences: Difference[];
  readonly bothFailed: boolean;
  readonly tooSlow: boolean;
  readonly slow: string | undefined;
}

interface Reading {
  readonly how: OracleCase;
  /** What the cluster is asked: the same, or another text for it. */
  readonly asked: OracleCase;
  readonly reader: Reader;
  readonly now: () => number;
}

async function compareRead(pair: Pair, { how, asked, reader, now }: Reading): Promise<Compared> {
  const rewritten = (text: string): string => (reader.rewrite === undefined ? text : reader.rewrite(text));
  const sql = rewritten(asked.sql);
  const began = now();
  const expected = await runRaw(pair.plain, pair.plainNames, rewritten(how.sql), how.values);
  const between = now();
  if (isTimeout(expected)) return { differences: [], bothFailed: false, tooSlow: true, slow: undefined };
  const actual = await readBy(reader, pair, { ...asked, sql });
  // Its condition may be one that PostgreSQL does not take, or that fails for rows which the whole query does not ask about.
  const failsInParts = asked.sql !== how.sql && actual.kind === 'failed' && !isRefusal(actual.failure);
  if (failsInParts) return { differences: [], bothFailed: true, tooSlow: false, slow: undefined };
  const [plainMs, clusterMs] = [between - began, now() - between];
  return {
    differences: worthHunting(compareOutcomes(expected, actual, how)),
    bothFailed: expected.kind === 'failed' && actual.kind === 'failed',
    tooSlow: false,
    slow: clusterMs > 2_000 && plainMs < clusterMs / 20 ? `${Math.round(plainMs)} ms on plain, ${Math.round(clusterMs)} ms on the cluster (${reader.name}): ${sql} -- ${JSON.stringify(asked.values ?? [])}` : undefined,
  };
}

/** `statement_timeout` of the plain database. */
function isTimeout(outcome: Outcome): boolean {
  return outcome.kind === 'failed' && outcome.failure.code === '57014';
}

async function readBy({ cluster, inTransaction }: Reader, { clusterNames }: Pair, { sql, values }: OracleCase): Promise<Outcome> {
  if (!inTransaction) return runRaw(cluster, clusterNames, sql, values);
  const client = await cluster.connect();
  try {
    await client.query('BEGIN');
    const outcome = await runRaw(client, clusterNames, sql, values);
    await client.query('ROLLBACK');
    return outcome;
  } finally {
    client.release();
  }
}

async function huntWrite(pair: Pair, seed: number, random: Random): Promise<Trial> {
  const start = makeWrites(random);
  const differences = worthHunting(await compareWrites(pair, start));
  const [first] = differences.filter(({ kind }) => kind !== 'refused');
  const refusal = differences.find(({ kind }) => kind === 'refused');
  const statements = start.steps.length;
  if (first === undefined) return refusal === undefined ? { statements, outcome: 'agreed' } : { statements, outcome: 'refused', refusal: refusal.text };
  const found = await shrink(start, smallerWrites, async (candidate) => worthHunting(await compareWrites(pair, candidate)).some(({ kind }) => kind === first.kind), 60);
  return { statements, outcome: 'differed', find: { kind: 'write', seed, found, differences: worthHunting(await compareWrites(pair, found)) } };
}

function* smallerWrites(write: WriteCase): Generator<WriteCase> {
  for (const steps of smallerLists(write.steps, () => [])) {
    if (steps.length > 0) yield { ...write, steps, name: steps.map(({ sql }) => sql).join('; ') };
  }
}

/** Field descriptors are the oracle's to compare: no shape of a query makes a difference of its own there. */
function worthHunting(differences: readonly Difference[]): Difference[] {
  return differences.filter(({ kind }) => kind !== 'descriptor');
}

/** What must stay the same while a query shrinks: the kind, and the SQLSTATE or the thing that differs. */
function signatureOf({ kind, text }: Difference): string {
  const sqlState = /\b(?:failed|SQLSTATE is)\W+([0-9A-Z]{5})\b/u.exec(text)?.[1] ?? '';
  return `${kind} ${kind === 'error' ? sqlState : ''}`;
}

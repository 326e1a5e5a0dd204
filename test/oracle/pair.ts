import { refusedStatements } from './refused-statements.ts';
import { inspect } from 'node:util';
import { compareOutcomes, isRefusal } from './compare-outcomes.ts';
import type { Difference } from './compare-outcomes.ts';
import type { OracleCase, WriteCase } from './oracle-case.ts';
import { readObjectNames, runParsed, runRaw, runStreamed } from './outcome.ts';
import type { Connectable, ObjectNames, Outcome, Queryable, Streaming } from './outcome.ts';
import { writeTableNames } from './write-seed.ts';
import { WriteTables } from './write-tables.ts';

/** One plain PostgreSQL and the cluster under test, holding the same data. */
export interface Pair {
  readonly plain: Connectable;
  readonly cluster: Connectable;
  /** The cluster's rows one by one. */
  readonly streaming: Streaming;
  readonly plainNames: ObjectNames;
  /** Names in the coordinator database: the cluster's results speak of its types and tables. */
  readonly clusterNames: ObjectNames;
  readonly writeTables: WriteTables;
}

type Sides = Pick<Pair, 'plainNames' | 'clusterNames'> & { readonly plain: Queryable; readonly cluster: Queryable };

/** `coordinator` is a plain connection to the cluster's coordinator database. */
export async function makePair(pools: { plain: Connectable; cluster: Connectable & Streaming; coordinator: Queryable }): Promise<Pair> {
  const { plain, cluster, coordinator } = pools;
  const streaming: Streaming = { stream: (sql, values) => cluster.stream(sql, values) };
  const plainNames = await readObjectNames(plain);
  const clusterNames = await readObjectNames(coordinator);
  const writeTables = new WriteTables({ pool: plain, names: plainNames }, { pool: cluster, names: clusterNames });
  return { plain, cluster, streaming, plainNames, clusterNames, writeTables };
}

/** Runs one statement on both sides and compares everything a client can see. */
export async function compareStatement(pair: Pair, how: OracleCase): Promise<Difference[]> {
  const [expected, actual] = await runBoth(pair, how);
  return compareOutcomes(expected, actual, how);
}

/** Reads once more the way applications do: rows as objects of pg's own JavaScript values, all at once and as a stream. */
export async function compareParsed(pair: Pair, how: OracleCase): Promise<Difference[]> {
  if (how.choosesFreely === true || how.floats !== undefined || how.volatile !== undefined) return [];
  const [expected, parsed, streamed] = await Promise.all([
    ...[pair.plain, pair.cluster].map((pool) => runParsed(pool, how.sql, how.values)),
    runStreamed(pair.streaming, how.sql, how.values),
  ]);
  const wanted = canonical(expected, how);
  const read = [{ what: 'parsed', actual: parsed }, ...(streamed === undefined ? [] : [{ what: 'streamed', actual: streamed }])];
  return read.flatMap(({ what, actual }): Difference[] => {
    if (canonical(actual, how) === wanted || (actual === '0A000' && (how.refused === true || refusedStatements.has(how.sql)))) return [];
    return [{ kind: 'rows', text: `${what} rows are ${show(actual)} instead of ${show(expected)}` }];
  });
}

/** Has the write tables hold their seed on both sides, runs the steps, then compares what the tables hold. */
export async function compareWrites(pair: Pair, write: WriteCase): Promise<Difference[]> {
  await pair.writeTables.restore();
  const { differences, refused } = write.session === true ? await inSessions(pair, write.steps) : await compareSteps(pair, write.steps);
  // What a refused step would have written is missing on one side: nothing to compare.
  return refused ? differences : [...differences, ...(await compareTables(pair, write.volatileColumns ?? []))];
}

interface StepsResult {
  readonly differences: Difference[];
  readonly refused: boolean;
}

async function inSessions(pair: Pair, steps: readonly OracleCase[]): Promise<StepsResult> {
  const plain = await pair.plain.connect();
  try {
    const cluster = await pair.cluster.connect();
    try {
      return await compareSteps({ ...pair, plain, cluster }, steps);
    } finally {
      cluster.release(true);
    }
  } finally {
    plain.release(true);
  }
}

/** Stops after a refused step: the following ones would tell nothing. */
async function compareSteps(pair: Sides, steps: readonly OracleCase[]): Promise<StepsResult> {
  const differences: Difference[] = [];
  for (const step of steps) {
    const [expected, actual] = await runBoth(pair, step);
    const found = compareOutcomes(expected, actual, step);
    differences.push(...found.map((difference) => ({ ...difference, text: `${step.sql}: ${difference.text}` })));
    if (actual.kind === 'failed' && isRefusal(actual.failure)) return { differences, refused: true };
  }
  return { differences, refused: false };
}

/** Compares what the write tables hold; volatile columns only for being NULL. */
export async function compareTables(pair: Pair, volatileColumns: readonly string[]): Promise<Difference[]> {
  const differences: Difference[] = [];
  for (const table of writeTableNames) {
    const sql = `SELECT * FROM ${table}`;
    const [expected, actual] = await runBoth(pair, { sql });
    pair.writeTables.seen(table, [expected, actual]);
    const volatile = expected.kind === 'failed' ? [] : (expected.results[0]?.columns ?? []).flatMap(({ name }, index) => (volatileColumns.includes(name) || volatileColumns.includes(`${table}.${name}`) ? [index] : []));
    const found = compareOutcomes(expected, actual, { sql, volatile });
    differences.push(...found.map((difference) => ({ ...difference, text: `afterwards ${table}: ${difference.text}` })));
  }
  return differences;
}

async function runBoth(pair: Sides, { sql, values }: OracleCase): Promise<[Outcome, Outcome]> {
  return Promise.all([runRaw(pair.plain, pair.plainNames, sql, values), runRaw(pair.cluster, pair.clusterNames, sql, values)]);
}

/** Values and their types as text, so that invalid dates and -0 compare too. */
function canonical(parsed: unknown, how: OracleCase): string {
  if (how.order === 'total' || !Array.isArray(parsed)) return inspectAll(parsed);
  return inspectAll(parsed.map((rows: unknown) => (Array.isArray(rows) ? rows.map(inspectAll).sort() : rows)));
}

function inspectAll(value: unknown): string {
  return inspect(value, { depth: 9, maxArrayLength: Infinity, maxStringLength: Infinity, breakLength: Infinity });
}

function show(value: unknown): string {
  return inspect(value, { depth: 4, breakLength: Infinity, maxArrayLength: 4 }).slice(0, 300);
}

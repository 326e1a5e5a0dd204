import { allOrAbort } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { type ComparedRows, type RowSql, rowSql, shown } from './compared-rows.ts';
import { pageRanges } from './page-ranges.ts';

/** A table over a connection that is in a transaction of REPEATABLE READ under `definitionSettings`. What the transactions' snapshots show is what is compared. */
export interface TablePart {
  readonly connection: NodeConnection;
  /** Quoted and qualified. */
  readonly sql: string;
  /** SQL over a table that is called `t`: only rows of which it is true count. */
  readonly where?: string | undefined;
}

/** Tables whose rows together are a copy: mostly one. */
export type TableCopy = readonly TablePart[];

export interface CompareOptions extends CallOptions {
  /** When so many are found, no more are looked for. */
  readonly differencesMax: number;
  /** Counts all rows, but looks only into every 16th, chosen by its key, until a difference is found. Of a table without a key all are looked into. */
  readonly isSample?: boolean | undefined;
  /** Called now and then with what has been read since. */
  readonly onRead?: ((read: { readonly rows: number; readonly bytes: number }) => void) | undefined;
}

/** A row, or several equal ones, that some copies have and others do not. */
export interface CopyDifference {
  readonly key: string;
  /** What is there under the key, in the order of the copies. */
  readonly rows: readonly (readonly CountedRow[])[];
}

export interface CountedRow {
  /** As text. Long ones are cut, so two that differ may look alike. */
  readonly text: string;
  /** How often it is there: once, where the table has a key. */
  readonly count: number;
}

export interface Comparison {
  readonly differences: readonly CopyDifference[];
  /** False when there may be more. */
  readonly complete: boolean;
}

/** Parts of a table, by the hashes of rows. */
const buckets = 1_024;
/** Rows of differing parts that are held here at a time, of all copies together, where the parts are not larger. */
const heldRowsMax = 200_000;

/**
 * Compares the rows of copies as multisets. Each server adds up the hashes of its rows, sorted into buckets by these same hashes, so that neither an order of rows is needed nor that collations are alike; only buckets
 * whose sums or counts differ are looked into. A 64-bit hash of a changed row is the same by a chance of 2⁻⁶⁴. Reads each copy once when they agree, three times when they do not, side by side on all servers. Memory: the
 * buckets, and `heldRowsMax` short rows.
 */
export async function compareCopies(copies: readonly TableCopy[], compared: ComparedRows, options: CompareOptions): Promise<Comparison> {
  const sql = rowSql(compared);
  if (options.isSample === true && compared.key !== undefined && differingBuckets(await sumCopies(copies, sampled(sql), options)).length === 0) return { differences: [], complete: true };
  const sums = await sumCopies(copies, sql.hash, options);
  const differing = differingBuckets(sums);
  if (differing.length === 0) return { differences: [], complete: true };
  const chosen = affordable(differing, sums);
  const held = await allOrAbort(options.signal, copies.map((copy) => (signal) => readHashes(copy, { sql, chosen, signal })));
  const identities = differingIdentities(held);
  const wanted = [...identities].slice(0, options.differencesMax);
  const told = await allOrAbort(options.signal, copies.map((copy) => (signal) => readRows(copy, { sql, wanted, signal })));
  return {
    differences: wanted.map((identity) => ({
      key: present(told.find((of) => of.has(identity))?.get(identity)).key,
      rows: told.map((of) => of.get(identity)?.rows ?? []),
    })),
    complete: chosen.length === differing.length && wanted.length === identities.size,
  };
}

interface Bucket {
  readonly rows: number;
  /** Count and sum of the hashes: equal for equal rows. */
  readonly sum: string;
}

/** The bucket of a row's hash `h`. */
const bucketSql = `h & ${buckets - 1}`;

/** Of rows that are not looked into: there is no hash. */
const unhashed = -1;

function sampled({ hash, keyHash }: RowSql): string {
  return `CASE WHEN ${keyHash} & 15 = 0 THEN ${hash} END`;
}

function sumCopies(copies: readonly TableCopy[], hash: string, options: CompareOptions): Promise<ReadonlyMap<number, Bucket>[]> {
  return allOrAbort(options.signal, copies.map((copy) => (signal) => sumCopy(copy, hash, { ...options, signal })));
}

function differingBuckets(sums: readonly ReadonlyMap<number, Bucket>[]): number[] {
  return Array.from({ length: buckets + 1 }, (_, i) => i + unhashed).filter((i) => new Set(sums.map((of) => of.get(i)?.sum ?? '')).size > 1);
}

async function sumCopy(copy: TableCopy, hash: string, options: CompareOptions): Promise<ReadonlyMap<number, Bucket>> {
  const totals = new Map<number, { rows: number; sum: bigint }>();
  await allOrAbort(options.signal, copy.map((part) => (signal) => addBuckets(totals, part, { ...options, signal, hash })));
  return new Map([...totals].map(([bucket, { rows, sum }]) => [bucket, { rows, sum: `${rows} ${sum}` }]));
}

async function addBuckets(totals: Map<number, { rows: number; sum: bigint }>, { connection, sql: table, where = 'true' }: TablePart, { hash, signal, onRead }: CompareOptions & { readonly hash: string }): Promise<void> {
  for (const { condition, bytes } of await pageRanges(connection, table, { signal })) {
    // OFFSET 0: the hash is computed once.
    const text = `SELECT coalesce(${bucketSql}, ${unhashed}), pg_catalog.count(*), pg_catalog.sum(h) FROM (SELECT ${hash} AS h FROM ONLY ${table} AS t WHERE ${condition} AND ${where} OFFSET 0) AS s GROUP BY 1`;
    const { rows } = await connection.query({ text }, { signal });
    let read = 0;
    for (const [bucket, count, sum] of rows) {
      const total = totals.get(Number(bucket)) ?? { rows: 0, sum: 0n };
      totals.set(Number(bucket), { rows: total.rows + Number(count), sum: total.sum + BigInt(sum ?? 0) });
      read += Number(count);
    }
    onRead?.({ rows: read, bytes });
  }
}

/** As many of the differing buckets as can be held, at least one. */
function affordable(differing: readonly number[], sums: readonly ReadonlyMap<number, Bucket>[]): number[] {
  let held = 0;
  return differing.filter((bucket, i) => {
    held += sums.reduce((rows, of) => rows + (of.get(bucket)?.rows ?? 0), 0);
    return i === 0 || held <= heldRowsMax;
  });
}

interface Reading extends CallOptions {
  readonly sql: RowSql;
}

/** How often each row of some buckets is there: by its identity and hash. */
async function readHashes(copy: TableCopy, { sql, chosen, signal }: Reading & { readonly chosen: readonly number[] }): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  await allOrAbort(signal, copy.map((part) => (own) => countHashes(counts, part, { sql, chosen, signal: own })));
  return counts;
}

async function countHashes(counts: Map<string, number>, { connection, sql: table, where = 'true' }: TablePart, { sql, chosen, signal }: Reading & { readonly chosen: readonly number[] }): Promise<void> {
  const text = `SELECT identity, h FROM (SELECT ${sql.identity} AS identity, ${sql.hash} AS h FROM ONLY ${table} AS t WHERE ${where} OFFSET 0) AS s WHERE (${bucketSql}) = ANY ($1::int8[])`;
  for await (const batch of connection.stream({ text, values: [[...chosen]] }, { signal })) {
    for (const [identity, hash] of batch) {
      const line = `${hash} ${identity}`;
      counts.set(line, (counts.get(line) ?? 0) + 1);
    }
  }
}

function differingIdentities(held: readonly ReadonlyMap<string, number>[]): Set<string> {
  const identities = new Set<string>();
  for (const line of new Set(held.flatMap((of) => [...of.keys()]))) {
    if (new Set(held.map((of) => of.get(line) ?? 0)).size > 1) identities.add(line.slice(line.indexOf(' ') + 1));
  }
  return identities;
}

interface ToldRows {
  readonly key: string;
  readonly rows: CountedRow[];
}

async function readRows(copy: TableCopy, reading: Reading & { readonly wanted: readonly string[] }): Promise<ReadonlyMap<string, ToldRows>> {
  const told = new Map<string, ToldRows>();
  await allOrAbort(reading.signal, copy.map((part) => (signal) => addRows(told, part, { ...reading, signal })));
  return told;
}

async function addRows(told: Map<string, ToldRows>, { connection, sql: table, where = 'true' }: TablePart, { sql, wanted, signal }: Reading & { readonly wanted: readonly string[] }): Promise<void> {
  const text = `SELECT ${sql.identity}, ${shown(sql.key)}, ${shown(sql.row)}, pg_catalog.count(*) FROM ONLY ${table} AS t WHERE ${sql.identity} = ANY ($1::text[]) AND ${where} GROUP BY 1, 2, 3 ORDER BY 3`;
  const { rows } = await connection.query({ text, values: [[...wanted]] }, { signal });
  for (const [identity, key, row, count] of rows) {
    const entry = told.get(identity ?? '') ?? { key: key ?? '', rows: [] };
    told.set(identity ?? '', entry);
    entry.rows.push({ text: row ?? '', count: Number(count) });
  }
}

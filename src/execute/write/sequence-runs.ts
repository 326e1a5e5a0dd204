import { at } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';

/** Values one after the other, each the sequence's step from the one before. */
export interface Run {
  readonly first: bigint;
  readonly count: number;
}

/** Values of a sequence, by its OID, in the order in which they were taken: others may have taken some between. However many, they are few runs. */
export interface TakenRuns {
  readonly oid: number;
  readonly step: bigint;
  readonly runs: readonly Run[];
}

/** Takes the next `count` values of a sequence, given as an expression that names it. A server makes runs of them: the application may not hold as many values as an update has rows. */
export function runsSql(name: string, count: number): string {
  return `WITH named AS MATERIALIZED (SELECT s.seqrelid, s.seqincrement FROM pg_catalog.pg_sequence AS s WHERE s.seqrelid = ${name}::pg_catalog.regclass
  UNION ALL SELECT ${name}::pg_catalog.regclass, 1 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_sequence AS s WHERE s.seqrelid = ${name}::pg_catalog.regclass)),
taken AS MATERIALIZED (SELECT named.seqrelid, named.seqincrement, g.i, pg_catalog.nextval(named.seqrelid) AS v FROM named, pg_catalog.generate_series(1, ${count}) AS g(i)),
placed AS (SELECT seqrelid, seqincrement, i, v, v::pg_catalog.numeric - i * seqincrement::pg_catalog.numeric AS start FROM taken),
islands AS (SELECT *, i - pg_catalog.row_number() OVER (PARTITION BY start ORDER BY i) AS island FROM placed)
SELECT seqrelid::pg_catalog.oid, seqincrement, (pg_catalog.array_agg(v ORDER BY i))[1], pg_catalog.count(*) FROM islands GROUP BY seqrelid, seqincrement, start, island ORDER BY pg_catalog.min(i)`;
}

/** Its rows. */
export function runsOf(rows: readonly RawRow[]): TakenRuns {
  const [oid, step] = at(rows, 0);
  return { oid: Number(oid), step: BigInt(step ?? 1), runs: rows.map(([, , first, count]) => ({ first: BigInt(first ?? 0), count: Number(count) })) };
}

/** The last of the values. */
export function lastOf({ step, runs }: TakenRuns): string {
  const { first, count } = at(runs, runs.length - 1);
  return String(first + step * BigInt(count - 1));
}

/** So many blocks of `size` values each, of as many values. */
export function cutRuns({ step, runs }: TakenRuns, { blocks, size }: { readonly blocks: number; readonly size: number }): Run[][] {
  const left = runs.values();
  let run: Run | undefined;
  return Array.from({ length: blocks }, () => {
    const block: Run[] = [];
    for (let missing = size; missing > 0;) {
      run ??= left.next().value;
      if (run === undefined) return block;
      const count = Math.min(missing, run.count);
      block.push({ first: run.first, count });
      run = count === run.count ? undefined : { first: run.first + step * BigInt(count), count: run.count - count };
      missing -= count;
    }
    return block;
  });
}

/** Which block of a transaction it is, and by how much its values differ. */
export interface BlockPlace {
  /** Among the blocks of its statement. */
  readonly slot: number;
  /** Of its statement, among those of the transaction. */
  readonly id: number;
  readonly step: bigint;
}

/** A block as `shardwright.nextval` takes it: the text of an array of bigints. */
export function blockSql(runs: readonly Run[], { slot, id, step }: BlockPlace): string {
  return `{${[slot, id, step, ...runs.flatMap(({ first, count }) => [first, count])].join(',')}}`;
}

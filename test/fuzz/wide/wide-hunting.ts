import type { Random } from '../../oracle/random.ts';
import type { Connectable } from '../../oracle/outcome.ts';
import { fuzzTables } from '../fuzz-tables.ts';
import type { Hunting, Reader, ReadStatement } from '../hunt.ts';
import type { FuzzTable } from '../fuzz-tables.ts';
import { makePartitionable, makeWide } from './make-wide.ts';
import { otherwise } from './random-views.ts';

export interface WideInput {
  /** A further cluster over the same databases. */
  readonly make: (settings: Readonly<Record<string, unknown>>) => Connectable;
  readonly makePlain: (settings: Readonly<Record<string, unknown>>) => Connectable;
  readonly now: () => number;
  readonly major: number;
  /** Of the random schema. */
  readonly tables: readonly FuzzTable[];
}

/** What takes plain PostgreSQL longer is not compared. */
const plainTimeoutMs = 1_500;
/** What takes the cluster longer is a difference. */
const clusterTimeoutMs = 8_000;

/** Queries of every construct, read with intermediate results as parameters and as temporary tables, in and outside transactions. */
export function wideHunting({ make, makePlain, now, major, tables: randomTables }: WideInput): Hunting {
  const limits = { statement_timeout: clusterTimeoutMs };
  const usual = make(limits);
  const tables = make({ ...limits, tuning: { arrayRowsMax: 0, batchRows: 16 } });
  const arrays = make({ ...limits, tuning: { arrayRowsMax: 1_000_000 } });
  const misled = make({ ...limits, tuning: { adjustEstimate: misleading } });
  const readers: Reader[] = [
    { name: 'wrong estimates', cluster: misled, inTransaction: false },
    { name: 'tables distributed otherwise, wrong estimates', cluster: misled, inTransaction: false, rewrite: otherwise },
    { name: 'cluster', cluster: usual, inTransaction: false },
    { name: 'cluster in a transaction', cluster: usual, inTransaction: true },
    { name: 'all in temporary tables', cluster: tables, inTransaction: false },
    { name: 'all in arrays', cluster: arrays, inTransaction: false },
    { name: 'tables distributed otherwise', cluster: usual, inTransaction: false, rewrite: otherwise },
    { name: 'tables distributed otherwise, in temporary tables', cluster: tables, inTransaction: false, rewrite: otherwise },
  ];
  const makeRead = (random: Random): ReadStatement => {
    const some = random.chance(0.4) ? fuzzTables : randomTables;
    return random.chance(0.15) ? { select: makePartitionable(random, some), inParts: true } : { select: makeWide(random, some), inParts: false };
  };
  return { makeRead, reads: 1, readers, now, plain: makePlain({ statement_timeout: plainTimeoutMs }), missortsGroupingSets: major < 18 };
}

/** Many rows and few are taken for each other; tables seem large enough for all that is only done for large ones. */
export function misleading({ rows, width }: { readonly rows: number; readonly width: number }): { readonly rows: number; readonly width: number } {
  return { rows: 10 ** ((Math.round(rows) * 7) % 6), width: width * 10 };
}

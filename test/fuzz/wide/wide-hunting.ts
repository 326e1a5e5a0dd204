import type { Connectable } from '../../oracle/outcome.ts';
import { fuzzTables } from '../fuzz-tables.ts';
import type { Hunting, Reader } from '../hunt.ts';
import { makeWide } from './make-wide.ts';

export interface WideInput {
  /** A further cluster over the same databases. */
  readonly make: (settings: Readonly<Record<string, unknown>>) => Connectable;
  readonly makePlain: (settings: Readonly<Record<string, unknown>>) => Connectable;
  readonly now: () => number;
}

/** What takes plain PostgreSQL longer is not compared. */
const plainTimeoutMs = 1_500;
/** What takes the cluster longer is a difference. */
const clusterTimeoutMs = 8_000;

/** Queries of every construct, read with intermediate results as parameters and as temporary tables, in and outside transactions. */
export function wideHunting({ make, makePlain, now }: WideInput): Hunting {
  const limits = { statement_timeout: clusterTimeoutMs };
  const usual = make(limits);
  const tables = make({ ...limits, tuning: { arrayRowsMax: 0, batchRows: 3 } });
  const arrays = make({ ...limits, tuning: { arrayRowsMax: 1_000_000 } });
  const readers: Reader[] = [
    { name: 'cluster', cluster: usual, inTransaction: false },
    { name: 'cluster in a transaction', cluster: usual, inTransaction: true },
    { name: 'all in temporary tables', cluster: tables, inTransaction: false },
    { name: 'all in arrays', cluster: arrays, inTransaction: false },
  ];
  return { makeRead: (random) => makeWide(random, fuzzTables), reads: 1, readers, now, plain: makePlain({ statement_timeout: plainTimeoutMs }) };
}

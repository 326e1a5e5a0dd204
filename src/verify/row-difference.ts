import type { CountedRow } from './compare-copies.ts';

/** A row on another shard than its hash says: queries for its tenant do not find it. */
export interface MisplacedRow {
  readonly kind: 'misplaced';
  readonly schema: string;
  readonly table: string;
  /** `host:port/database`. */
  readonly node: string;
  /** Its own name on the node. */
  readonly shard: string;
  /** As the server writes a row: `(7,"two words")`; the whole row where the table has no key. Long ones are cut. */
  readonly key: string;
  /** The shard where it should be; null where the distribution value is NULL, which belongs nowhere. */
  readonly belongs: { readonly node: string; readonly shard: string } | null;
}

/** Rows of one shard that a unique index should not have let in beside each other. */
export interface DuplicateKey {
  readonly kind: 'duplicate';
  readonly schema: string;
  readonly table: string;
  readonly node: string;
  readonly shard: string;
  /** The index's name on the node. */
  readonly index: string;
  /** What is indexed, as a row. */
  readonly key: string;
  readonly rows: number;
}

/** A row that is not the same in all copies of a reference table. */
export interface DifferingCopies {
  readonly kind: 'copies_differ';
  readonly schema: string;
  readonly table: string;
  readonly key: string;
  readonly copies: readonly { readonly node: string; readonly shard: string; readonly rows: readonly CountedRow[] }[];
}

/** A key of a unique lookup that is not what the table's rows say. */
export interface DifferingLookup {
  readonly kind: 'lookup_differs';
  readonly schema: string;
  readonly table: string;
  /** Its name, as of a constraint. */
  readonly lookup: string;
  readonly key: string;
  /** The key with the distribution values of the table's rows that have it: none where the lookup has a key too many. */
  readonly inTable: readonly CountedRow[];
  /** The same as the lookup has it: none where the key is missing, so that queries for it find nothing. */
  readonly inLookup: readonly CountedRow[];
}

export type RowDifference = MisplacedRow | DuplicateKey | DifferingCopies | DifferingLookup;

/** What `cluster.verify()` found. */
export interface VerifyReport {
  readonly differences: readonly RowDifference[];
  /** False when a table has more differences than were wanted of one. */
  readonly complete: boolean;
  /** How many tables, shards and copies, and rows in them were looked at. */
  readonly tables: number;
  readonly shards: number;
  readonly rows: number;
  /** All of it for people to read. */
  readonly text: string;
}

export function verifyReport(differences: readonly RowDifference[], counts: Pick<VerifyReport, 'complete' | 'tables' | 'shards' | 'rows'>): VerifyReport {
  const { complete, tables, shards, rows } = counts;
  const found = `${complete ? '' : 'at least '}${count(differences.length, 'difference')}`;
  const head = `${count(rows, 'row')} in ${count(shards, 'shard')} of ${count(tables, 'table')} verified, ${found}`;
  return { differences, ...counts, text: [head, ...differences.map(paragraph)].join('\n\n') };
}

function count(number: number, noun: string): string {
  return `${number === 0 ? 'no' : number} ${noun}${number === 1 ? '' : 's'}`;
}

function paragraph(difference: RowDifference): string {
  const head = `table ${difference.schema}.${difference.table}, key ${difference.key}`;
  switch (difference.kind) {
    case 'misplaced': {
      const { shard, node, belongs } = difference;
      return `${head}: misplaced\n  is on:      ${place(shard, node)}\n  belongs on: ${belongs === null ? 'no shard' : place(belongs.shard, belongs.node)}`;
    }
    case 'duplicate':
      return `${head}: ${difference.rows} rows against unique index ${difference.index}\n  is on: ${place(difference.shard, difference.node)}`;
    case 'lookup_differs':
      return `${head}: unique lookup ${difference.lookup} differs\n  in the table:  ${rowsThere(difference.inTable)}\n  in the lookup: ${rowsThere(difference.inLookup)}`;
    case 'copies_differ':
      return [`${head}: copies differ`, ...difference.copies.map(({ shard, node, rows }) => `  ${place(shard, node)}: ${rowsThere(rows)}`)].join('\n');
  }
}

function rowsThere(rows: readonly CountedRow[]): string {
  return rows.length === 0 ? 'nothing' : rows.map(({ text, count }) => (count === 1 ? text : `${text} × ${count}`)).join(', ');
}

function place(shard: string, node: string): string {
  return `shard ${shard}, node ${node}`;
}

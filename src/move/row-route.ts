import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { HashRange } from '../catalog/shard-for-hash.ts';
import type { ChangeMessage, StreamedRow, StreamedValue } from '../replication/pgoutput/message.ts';
import type { RowChange } from './apply/row-changes.ts';
import type { RowHash } from './moved-tables.ts';

/** Tells which target the rows of a table go to. */
export interface RowRoute {
  /** Name of the distribution column. */
  readonly column: string;
  /** The place, among the targets, of a value of that column as the stream has it: bytes as characters. */
  placeOf(value: string | null): number;
  /** The same for a value as text. */
  placeOfText(text: string | null): number;
}

/**
 * By the hash that JavaScript computes, as for every statement: the tests of the hash functions show that the server's is the same, and a row that it were not for would violate
 * the CHECK of its new shard. NULL, which nobody should have written, is in the first part, if it is taken.
 */
export function routeByHash({ type, family, takesNull }: Pick<RowHash, 'type' | 'family' | 'takesNull'>, targets: readonly HashRange[], column: string): RowRoute {
  const placeOfText = (text: string | null): number => {
    if (text === null && !takesNull) throw valueMissing(column);
    if (text === null) return 0;
    const hash = type.hashOf(text, family, { timeZone: 'UTC' });
    const place = hash === undefined ? -1 : targets.findIndex(({ min, max }) => min <= hash && hash <= max);
    if (place >= 0) return place;
    throw misplaced(text);
  };
  return { column, placeOfText, placeOf: (value) => placeOfText(value === null || isAscii(value) ? value : Buffer.from(value, 'latin1').toString('utf8')) };
}

function valueMissing(column: string): ClusterError {
  return new ClusterError('distributionValueMissing', `a row came with NULL in column "${column}"`, { hint: 'Make the column NOT NULL first.', column });
}

/** For a row that is not on the shard of its hash, or whose hash only a server can tell. */
function misplaced(value: string): ClusterError {
  return new ClusterError('moveUndone', `a row with distribution value "${value}" belongs to no part of the shard group`, { hint: 'Somebody has written it past the library: put it where it belongs.' });
}

function isAscii(latin1: string): boolean {
  // eslint-disable-next-line no-control-regex
  return !/[^\x00-\x7f]/.test(latin1);
}

/** A change of rows as each of the targets has it. */
export interface RoutedChange {
  readonly place: number;
  readonly change: RowChange;
}

/**
 * An update keeps its row where it is, unless it sets the distribution column and the new value belongs to another part: then the row goes from the one and comes to the other. The key of a
 * table always holds the distribution column, so an old row has it, whatever the replica identity; where there is no old row, the key and with it the column is what it was.
 */
export function routeChange(change: Exclude<ChangeMessage, { readonly kind: 'truncate' }>, route: RowRoute, column: number): RoutedChange[] {
  switch (change.kind) {
    case 'insert':
      return [{ place: route.placeOf(valueOf(change.row[column])), change }];
    case 'delete':
      return [{ place: route.placeOf(valueOf(change.old.row[column])), change }];
    case 'update': {
      const before = (change.old ?? change).row[column];
      const after = change.row[column] === undefined ? before : change.row[column];
      const from = route.placeOf(valueOf(before));
      const to = after === before ? from : route.placeOf(valueOf(after));
      if (from === to) return [{ place: from, change }];
      const { relation, old } = change;
      const gone = present(old, 'old row of one whose distribution column was set');
      return [
        { place: from, change: { kind: 'delete', relation, old: gone } },
        { place: to, change: { kind: 'insert', relation, row: completed(change.row, gone, route) } },
      ];
    }
  }
}

/** With REPLICA IDENTITY FULL the old row has the large values that the new one leaves out; a key has only its own. */
function completed(row: StreamedRow, { kind, row: old }: { readonly kind: 'key' | 'full'; readonly row: StreamedRow }, { column }: RowRoute): StreamedRow {
  if (!row.includes(undefined)) return row;
  const filled = row.map((value, i) => (value === undefined && (kind === 'full' || old[i] !== null) ? old[i] : value));
  if (!filled.includes(undefined)) return filled;
  throw new ClusterError('moveUndone', `an update of column "${column}" took a row with large values from one part of the shard group to another`, {
    hint: 'Start it again.',
  });
}

function valueOf(value: StreamedValue): string | null {
  return present(value, 'value of the distribution column');
}

import { assert, present } from '../../base/assert.ts';
import type { StreamedRow } from '../../replication/pgoutput/message.ts';
import { type NetChanges, type PartialRow, type RowChange, type RowChanges, rowText } from './row-changes.ts';

/** What becomes of a key. */
interface Entry {
  /** The row had the key before the batch, so it has to go. */
  readonly existed: boolean;
  /** The row that has the key now; undefined when none has. */
  readonly row: StreamedRow | undefined;
  /** Where the values that the stream left out of `row` are: the key of a row from before the batch. */
  readonly base: StreamedRow | undefined;
}

/** Changes of a table whose rows a key tells apart: the last change of a key counts. Memory: the rows changed. */
export class KeyedChanges implements RowChanges {
  #truncated = false;
  readonly #entries = new Map<string, Entry>();
  readonly #keys = new Map<string, StreamedRow>();

  /** Positions of the key's columns in the rows. */
  constructor(private readonly key: readonly number[]) {}

  note(change: RowChange): void {
    switch (change.kind) {
      case 'insert':
        this.#put(this.#keyOf(change.row), { row: change.row, base: undefined });
        break;
      case 'delete':
        this.#remove(this.#keyOf(change.old.row));
        break;
      case 'update': {
        const oldKey = this.#keyOf((change.old ?? change).row);
        const put = this.#completed(oldKey, change.row);
        this.#remove(oldKey);
        this.#put(this.#keyOf(change.row, oldKey), put);
      }
    }
  }

  truncate(): void {
    this.#truncated = true;
    this.#entries.clear();
    this.#keys.clear();
  }

  net(): NetChanges {
    const partial: PartialRow[] = [];
    const added: StreamedRow[] = [];
    const bases = new Set<string>();
    for (const { row, base } of this.#entries.values()) {
      if (row === undefined) continue;
      if (base === undefined) added.push(row);
      else {
        partial.push({ base, row });
        bases.add(rowText(base));
      }
    }
    const removed = [...this.#entries].filter(([text, { existed }]) => existed && !bases.has(text)).map(([text]) => present(this.#keys.get(text)));
    return { truncate: this.#truncated, removed, partial, added };
  }

  /** A key may be a large value as well, which an update leaves out of the new row when it is unchanged. */
  #keyOf(row: StreamedRow, otherwise?: StreamedRow): StreamedRow {
    return this.key.map((position, i) => row[position] ?? otherwise?.[i]);
  }

  /** The row with what it left out, as far as the batch has it. */
  #completed(oldKey: StreamedRow, row: StreamedRow): Pick<Entry, 'row' | 'base'> {
    if (!row.includes(undefined)) return { row, base: undefined };
    const before = this.#entries.get(rowText(oldKey));
    const filled = row.map((value, i) => (value !== undefined ? value : this.key.includes(i) ? oldKey[this.key.indexOf(i)] : before?.row?.[i]));
    if (!filled.includes(undefined)) return { row: filled, base: undefined };
    assert(!this.#truncated || before?.base !== undefined, 'an update leaves out values of a row that the batch has removed');
    return { row: filled, base: before?.base ?? oldKey };
  }

  #put(key: StreamedRow, put: Pick<Entry, 'row' | 'base'>): void {
    const text = rowText(key);
    this.#keys.set(text, key);
    this.#entries.set(text, { ...put, existed: this.#entries.get(text)?.existed ?? false });
  }

  /** A key that the batch knows nothing of is one from before. */
  #remove(key: StreamedRow): void {
    const text = rowText(key);
    const existed = this.#entries.get(text)?.existed ?? !this.#truncated;
    if (existed) {
      this.#keys.set(text, key);
      this.#entries.set(text, { existed, row: undefined, base: undefined });
    } else this.#entries.delete(text);
  }
}

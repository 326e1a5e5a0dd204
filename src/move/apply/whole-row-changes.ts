import { present } from '../../base/assert.ts';
import type { StreamedRow } from '../../replication/pgoutput/message.ts';
import { type NetChanges, type RowChange, type RowChanges, rowText } from './row-changes.ts';

/** Changes of a table without a key (REPLICA IDENTITY FULL): how many more or fewer of each row there are. Memory: the rows changed. */
export class WholeRowChanges implements RowChanges {
  #truncated = false;
  readonly #counts = new Map<string, { readonly row: StreamedRow; count: number }>();

  note(change: RowChange): void {
    const old = change.kind === 'insert' ? undefined : present(change.old, 'old row of a table without a key').row;
    if (old !== undefined) this.#count(old, -1);
    if (change.kind === 'delete') return;
    this.#count(old === undefined ? change.row : change.row.map((value, i) => (value === undefined ? old[i] : value)), 1);
  }

  truncate(): void {
    this.#truncated = true;
    this.#counts.clear();
  }

  net(): NetChanges {
    const removed: StreamedRow[] = [];
    const added: StreamedRow[] = [];
    for (const { row, count } of this.#counts.values()) {
      for (let left = count; left > 0; left -= 1) added.push(row);
      for (let left = count; left < 0; left += 1) removed.push(row);
    }
    return { truncate: this.#truncated, removed, partial: [], added };
  }

  #count(row: StreamedRow, change: 1 | -1): void {
    const text = rowText(row);
    const known = this.#counts.get(text);
    if (known === undefined) this.#counts.set(text, { row, count: change });
    else if (known.count + change === 0) this.#counts.delete(text);
    else known.count += change;
  }
}

import { assert } from '../../src/base/assert.ts';
import type { Change } from '../../src/index.ts';

/**
 * Copies of tables that take changes at their word: a row that is inserted must not be there, one that is updated or deleted must be. So a change that is missing, doubled or out of order is found out when it or the next one of its row
 * comes. What comes again must have been given before, with the same id, and is passed over.
 */
export class StrictMirror {
  /** By table, by key; how often, for tables without a key. */
  readonly tables = new Map<string, Map<string, { row: Record<string, unknown>; count: number }>>();
  readonly ids = new Set<string>();
  cursor: string | undefined;
  /** Events that came again. */
  repeated = 0;
  transaction: string | undefined;
  #isOpen = false;

  apply(change: Change): void {
    if (change.kind === 'snapshot_begin') {
      this.tables.clear();
      this.ids.clear();
      this.cursor = undefined;
      return;
    }
    if (change.cursor !== undefined) this.cursor = change.cursor;
    if (change.kind === 'snapshot_end') return;
    this.#follow(change.transaction, change.endsTransaction, change.cursor === undefined);
    if (this.ids.has(change.id)) {
      this.repeated += 1;
      return;
    }
    this.ids.add(change.id);
    const rows = this.#rows(change.table);
    switch (change.kind) {
      case 'insert':
        return this.#add(rows, change.key, change.row, change.id);
      case 'update': {
        const old = this.#take(rows, change.key, change.id);
        const kept = Object.fromEntries(change.unchanged.map((name) => [name, old[name]]));
        const row = { ...change.row, ...kept };
        // The key of a table that has none is the whole row.
        const key = change.old === undefined ? Object.fromEntries(Object.keys(change.key).map((name) => [name, row[name]])) : row;
        return this.#add(rows, key, row, change.id);
      }
      case 'delete':
        this.#take(rows, change.key, change.id);
        return;
      case 'truncate':
        rows.clear();
    }
  }

  /** As lines, in order. */
  lines(table: string): string[] {
    return [...this.#rows(table).values()].flatMap(({ row, count }) => Array.from({ length: count }, () => lineOf(row))).toSorted();
  }

  /** Transactions come whole; one that was broken off goes on where it was. */
  #follow(transaction: string, ends: boolean, isSnapshot: boolean): void {
    if (isSnapshot) return;
    assert(!this.#isOpen || transaction === this.transaction, `transaction ${transaction} came into ${this.transaction ?? ''}`);
    this.transaction = transaction;
    this.#isOpen = !ends;
  }

  /** The receiver goes on elsewhere, at a cursor or where it has confirmed. */
  reopened(): void {
    this.#isOpen = false;
  }

  #rows(table: string): Map<string, { row: Record<string, unknown>; count: number }> {
    const rows = this.tables.get(table) ?? new Map();
    this.tables.set(table, rows);
    return rows;
  }

  #add(rows: Map<string, { row: Record<string, unknown>; count: number }>, key: Record<string, unknown>, row: Record<string, unknown>, id: string): void {
    const text = lineOf(key);
    const there = rows.get(text);
    assert(there === undefined || lineOf(there.row) === text, `${id}: ${text} is there already`);
    if (there === undefined) rows.set(text, { row, count: 1 });
    else there.count += 1;
  }

  #take(rows: Map<string, { row: Record<string, unknown>; count: number }>, key: Record<string, unknown>, id: string): Record<string, unknown> {
    const text = lineOf(key);
    const there = rows.get(text);
    assert(there !== undefined, `${id}: ${text} is not there`);
    if (there.count === 1) rows.delete(text);
    else there.count -= 1;
    return there.row;
  }
}

export function lineOf(row: Record<string, unknown>): string {
  return JSON.stringify(Object.entries(row).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

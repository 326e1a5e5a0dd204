import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyedChanges } from '../../src/move/apply/keyed-changes.ts';
import { rowText } from '../../src/move/apply/row-changes.ts';
import { WholeRowChanges } from '../../src/move/apply/whole-row-changes.ts';
import type { NetChanges, RowChanges } from '../../src/move/apply/row-changes.ts';
import type { StreamedRow } from '../../src/replication/pgoutput/message.ts';

/** Rows are `[key, small, large]`; an update may leave out the large value, as the log does when it has not changed. */
type Row = readonly [key: string, small: string | null, large: string | null];

type Step = { readonly kind: 'put' | 'drop' | 'rekey' | 'truncate'; readonly key: string; readonly to: string; readonly small: string | null; readonly large: string | null | undefined };

const keys = fc.constantFrom('1', '2', '3', '4');
const steps = fc.array(fc.record<Step>({
  kind: fc.constantFrom('put', 'put', 'put', 'drop', 'drop', 'rekey', 'rekey', 'truncate'), key: keys, to: keys, small: fc.constantFrom('a', 'b', null), large: fc.constantFrom('L', 'M', null, undefined, undefined),
}), { maxLength: 14 });

/** Plays steps as a server would have made them, skipping those that it would have refused. */
function play(table: Map<string, Row>, step: Step, changes: RowChanges): void {
  const before = table.get(step.key);
  const large = step.large === undefined ? before?.[2] ?? null : step.large;
  const streamed = step.large === undefined && before?.[2] != null ? undefined : large;
  if (step.kind === 'truncate') {
    table.clear();
    changes.truncate();
  } else if (step.kind === 'put') {
    table.set(step.key, [step.key, step.small, large]);
    const row: StreamedRow = [step.key, step.small, before === undefined ? large : streamed];
    changes.note(before === undefined ? { kind: 'insert', relation: 1, row } : { kind: 'update', relation: 1, old: undefined, row });
  } else if (before !== undefined && step.kind === 'drop') {
    table.delete(step.key);
    changes.note({ kind: 'delete', relation: 1, old: { kind: 'key', row: [step.key, null, null] } });
  } else if (before !== undefined && step.kind === 'rekey' && !table.has(step.to)) {
    table.delete(step.key);
    table.set(step.to, [step.to, step.small, large]);
    changes.note({ kind: 'update', relation: 1, old: { kind: 'key', row: [step.key, null, null] }, row: [step.to, step.small, streamed] });
  }
}

/** What the statements do, in their order; a row that is there twice is what no unique index would take. */
function apply(table: Map<string, Row>, { truncate, removed, partial, added }: NetChanges): void {
  if (truncate) table.clear();
  for (const [key] of removed) expect(table.delete(key ?? ''), `key ${key} is removed`).toBe(true);
  const bases = partial.map(({ base: [key] }) => table.get(key ?? ''));
  for (const { base: [key] } of partial) expect(table.delete(key ?? '')).toBe(true);
  const put = (row: StreamedRow): void => {
    expect(table.has(row[0] ?? ''), `key ${row[0]} is free`).toBe(false);
    table.set(row[0] ?? '', row as unknown as Row);
  };
  for (const [i, { row }] of partial.entries()) put(row.map((value, column) => (value === undefined ? bases[i]?.[column] : value)));
  for (const row of added) put(row);
}

test('net changes of a table with a key lead where the changes do', () => {
  const rows = fc.uniqueArray(keys);
  fc.assert(fc.property(rows, steps, (present, list) => {
    const source = new Map<string, Row>(present.map((key) => [key, [key, 'old', `old ${key}`]]));
    const target = new Map(source);
    const changes = new KeyedChanges([0]);
    for (const step of list) play(source, step, changes);
    apply(target, changes.net());
    expect(target).toEqual(source);
  }), { numRuns: 3_000 });
});

test('net changes of a table without a key count equal rows', () => {
  const row = fc.tuple(fc.constantFrom('a', 'b', null), fc.constantFrom('x', null));
  fc.assert(fc.property(fc.array(row, { maxLength: 5 }), fc.array(fc.tuple(fc.constantFrom('insert', 'update', 'delete', 'truncate'), row, fc.nat()), { maxLength: 12 }), (present, list) => {
    let source: StreamedRow[] = [...present];
    const changes = new WholeRowChanges();
    for (const [kind, next, pick] of list) {
      const old = source[pick % Math.max(source.length, 1)];
      if (kind === 'truncate') {
        source = [];
        changes.truncate();
      } else if (kind === 'insert' || old === undefined) {
        source.push(next);
        changes.note({ kind: 'insert', relation: 1, row: next });
      } else {
        source.splice(source.indexOf(old), 1);
        if (kind === 'delete') changes.note({ kind: 'delete', relation: 1, old: { kind: 'full', row: old } });
        else {
          source.push([next[0], old[1]]);
          changes.note({ kind: 'update', relation: 1, old: { kind: 'full', row: old }, row: [next[0], undefined] });
        }
      }
    }
    const { truncate, removed, added } = changes.net();
    const target = truncate ? [] : present.map(rowText);
    for (const gone of removed) {
      expect(target).toContain(rowText(gone));
      target.splice(target.indexOf(rowText(gone)), 1);
    }
    expect([...target, ...added.map(rowText)].sort()).toEqual(source.map(rowText).sort());
  }), { numRuns: 2_000 });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSections, writeSections } from './all-cases.ts';
import { nameOfCell, openCell } from './cell.ts';
import type { Cell, OpenCell } from './cell.ts';
import type { MakeCluster } from './load-pair.ts';
import { compareCopiesIn, compareCopiesOut } from './compare-copies.ts';
import { runReads, runWrites } from './run-section.ts';

/** A section is hundreds of cases, and one that is cut off would go on beside the next. */
const sectionMsMax = 240_000;

/** The tests of one cell, one per section; a failure lists every statement that differs, the worst first. */
export function describeCell(cell: Cell, makeCluster: MakeCluster, openIt: typeof openCell = openCell): void {
  describe(nameOfCell(cell), () => {
    let open: OpenCell | undefined;
    const opened = (): OpenCell => {
      if (open === undefined) throw new Error('the cell could not be loaded');
      return open;
    };
    beforeAll(async () => {
      open = await openIt(cell, makeCluster);
    }, 120_000);
    afterAll(() => open?.[Symbol.asyncDispose](), 60_000);

    test.each(Object.keys(readSections))('%s', async (section) => {
      const { pair, share } = opened();
      expect((await runReads(pair, readSections[section] ?? [], share)).join('\n')).toBe('');
    }, sectionMsMax);
    test('COPY TO', async () => {
      expect((await compareCopiesOut(opened().copying)).join('\n')).toBe('');
    }, sectionMsMax);
    test('COPY FROM', async () => {
      const { pair, copying } = opened();
      expect((await compareCopiesIn(pair, copying)).join('\n')).toBe('');
    }, sectionMsMax);
    test.each(Object.keys(writeSections))('%s', async (section) => {
      const { pair, share } = opened();
      expect((await runWrites(pair, writeSections[section] ?? [], share)).join('\n')).toBe('');
    }, sectionMsMax);
  });
}

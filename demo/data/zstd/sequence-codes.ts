import { buildFseTable, type FseTable } from './fse-table.ts';

/** How a code of a sequence becomes a number: the baseline plus so many further bits. RFC 8878, 3.1.1.3.2. */
export interface CodeKind {
  readonly name: string;
  readonly accuracyMax: number;
  readonly predefined: FseTable;
  readonly baselines: readonly number[];
  readonly extraBits: readonly number[];
}

export const literalLengthCodes: CodeKind = {
  name: 'literal lengths',
  accuracyMax: 9,
  predefined: buildFseTable(
    [4, 3, ...times(11, 2), 1, 1, 1, ...times(9, 2), 3, 2, ...times(5, 1), ...times(4, -1)],
    6,
  ),
  ...codesWith([...times(16, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 0),
};

export const matchLengthCodes: CodeKind = {
  name: 'match lengths',
  accuracyMax: 9,
  predefined: buildFseTable([1, 4, 3, ...times(6, 2), ...times(37, 1), ...times(7, -1)], 6),
  ...codesWith([...times(32, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 3),
};

/** An offset code is itself the number of further bits, and its baseline a power of two. */
export const offsetCodes: CodeKind = {
  name: 'offsets',
  accuracyMax: 8,
  predefined: buildFseTable([...times(6, 1), ...times(3, 2), ...times(15, 1), ...times(5, -1)], 5),
  baselines: Array.from({ length: 32 }, (_, code) => 2 ** code),
  extraBits: Array.from({ length: 32 }, (_, code) => code),
};

function times(count: number, value: number): number[] {
  return Array.from({ length: count }, () => value);
}

/** The ranges of the codes follow each other without a gap. */
function codesWith(extraBits: readonly number[], first: number): { readonly baselines: readonly number[]; readonly extraBits: readonly number[] } {
  let next = first;
  const baselines = extraBits.map((bits) => {
    const baseline = next;
    next += 2 ** bits;
    return baseline;
  });
  return { baselines, extraBits };
}

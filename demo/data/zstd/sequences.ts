import { BackwardBits } from './backward-bits.ts';
import { constantFseTable, readFseTable, type FseTable } from './fse-table.ts';
import { literalLengthCodes, matchLengthCodes, offsetCodes, type CodeKind } from './sequence-codes.ts';

/** The tables of a block, which the next one may use again. */
export interface SequenceTables {
  readonly literalLengths: FseTable;
  readonly offsets: FseTable;
  readonly matchLengths: FseTable;
}

/** Copy so many literals, then so many bytes from further back. `offset` still is as coded: 1 to 3 mean earlier ones. */
export type OnSequence = (literalLength: number, offset: number, matchLength: number) => void;

export interface SequencesSection {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly previous: SequenceTables | undefined;
}

/** Reads the sequences of a block and hands each over, in order. RFC 8878, 3.1.1.3.2. Resolves to the tables used. */
export function readSequences(section: SequencesSection, onSequence: OnSequence): SequenceTables | undefined {
  const { bytes, end, previous } = section;
  const header = readCount(bytes, section.start);
  if (header.count === 0) return previous;
  const { tables, end: start } = readTables(section, header.end);
  decode(new BackwardBits(bytes, start, end), { tables, count: header.count }, onSequence);
  return tables;
}

function readCount(bytes: Uint8Array, at: number): { readonly count: number; readonly end: number } {
  const [first = 0, second = 0, third = 0] = bytes.subarray(at, at + 3);
  if (first < 128) return { count: first, end: at + 1 };
  if (first < 255) return { count: ((first - 128) << 8) + second, end: at + 2 };
  return { count: second + (third << 8) + 0x7f00, end: at + 3 };
}

function readTables({ bytes, previous }: SequencesSection, at: number): { readonly tables: SequenceTables; readonly end: number } {
  const modes = bytes[at] ?? 0;
  let position = at + 1;
  const next = (kind: CodeKind, mode: number, earlier: FseTable | undefined): FseTable => {
    const { table, end } = readTable({ bytes, at: position, mode }, kind, earlier);
    position = end;
    return table;
  };
  const literalLengths = next(literalLengthCodes, modes >> 6, previous?.literalLengths);
  const offsets = next(offsetCodes, (modes >> 4) & 3, previous?.offsets);
  const matchLengths = next(matchLengthCodes, (modes >> 2) & 3, previous?.matchLengths);
  return { tables: { literalLengths, offsets, matchLengths }, end: position };
}

interface TableAt {
  readonly bytes: Uint8Array;
  readonly at: number;
  /** 0 predefined, 1 one symbol for all, 2 described here, 3 as before. */
  readonly mode: number;
}

function readTable({ bytes, at, mode }: TableAt, kind: CodeKind, earlier: FseTable | undefined): { readonly table: FseTable; readonly end: number } {
  if (mode === 0) return { table: kind.predefined, end: at };
  if (mode === 1) return { table: constantFseTable(bytes[at] ?? 0), end: at + 1 };
  if (mode === 2) return readFseTable(bytes, at, kind.accuracyMax);
  if (earlier === undefined) throw new RangeError(`zstd: a block repeats the table of ${kind.name} that there was none of`);
  return { table: earlier, end: at };
}

function decode(bits: BackwardBits, work: { readonly tables: SequenceTables; readonly count: number }, onSequence: OnSequence): void {
  const { literalLengths, offsets, matchLengths } = work.tables;
  let literalState = bits.read(literalLengths.accuracy);
  let offsetState = bits.read(offsets.accuracy);
  let matchState = bits.read(matchLengths.accuracy);
  for (let index = 0; index < work.count; index += 1) {
    const offset = readNumber(bits, offsetCodes, offsets.symbols[offsetState]);
    const matchLength = readNumber(bits, matchLengthCodes, matchLengths.symbols[matchState]);
    const literalLength = readNumber(bits, literalLengthCodes, literalLengths.symbols[literalState]);
    onSequence(literalLength, offset, matchLength);
    if (index === work.count - 1) break;
    literalState = nextState(bits, literalLengths, literalState);
    matchState = nextState(bits, matchLengths, matchState);
    offsetState = nextState(bits, offsets, offsetState);
  }
  if (bits.left !== 0) throw new RangeError('zstd: the sequences of a block do not end where they should');
}

function readNumber(bits: BackwardBits, kind: CodeKind, code = 0): number {
  return (kind.baselines[code] ?? 0) + bits.read(kind.extraBits[code] ?? 0);
}

function nextState(bits: BackwardBits, table: FseTable, state: number): number {
  return (table.baselines[state] ?? 0) + bits.read(table.bitCounts[state] ?? 0);
}

import { BackwardBits } from './backward-bits.ts';
import { readFseTable } from './fse-table.ts';

/** A prefix code decoder: the next `bits` bits are the index of the symbol and of the number of bits that it took. */
export interface HuffmanTable {
  readonly bits: number;
  readonly symbols: Uint8Array;
  readonly lengths: Uint8Array;
}

/** Reads a code's description at `at`; `end` is where the streams begin. RFC 8878, 4.2.1. */
export function readHuffmanTable(bytes: Uint8Array, at: number): { readonly table: HuffmanTable; readonly end: number } {
  const header = bytes[at] ?? 0;
  const packed = header < 128;
  const count = packed ? header : header - 127;
  const end = at + 1 + (packed ? header : (count + 1) >> 1);
  const weights = packed ? readPackedWeights(bytes, at + 1, end) : readPlainWeights(bytes, at + 1, count);
  return { table: buildHuffmanTable(weights), end };
}

function readPlainWeights(bytes: Uint8Array, at: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const pair = bytes[at + (index >> 1)] ?? 0;
    return index % 2 === 0 ? pair >> 4 : pair & 15;
  });
}

/** Two states take turns; the stream ends when one of them finds no bits for its next state. */
function readPackedWeights(bytes: Uint8Array, at: number, end: number): number[] {
  const { table, end: start } = readFseTable(bytes, at, 6);
  const bits = new BackwardBits(bytes, start, end);
  const states = [bits.read(table.accuracy), bits.read(table.accuracy)];
  const weights: number[] = [];
  for (let turn = 0; ; turn = 1 - turn) {
    const state = states[turn] ?? 0;
    weights.push(table.symbols[state] ?? 0);
    states[turn] = (table.baselines[state] ?? 0) + bits.read(table.bitCounts[state] ?? 0);
    if (bits.left < 0) {
      weights.push(table.symbols[states[1 - turn] ?? 0] ?? 0);
      return weights;
    }
  }
}

/** The last symbol's weight is what is missing to a power of two. Lighter symbols come first, then by symbol. */
function buildHuffmanTable(weights: number[]): HuffmanTable {
  const sum = weights.reduce((total, weight) => total + (weight === 0 ? 0 : 1 << (weight - 1)), 0);
  const bits = 32 - Math.clz32(sum);
  weights.push(32 - Math.clz32((1 << bits) - sum));
  const table = { bits, symbols: new Uint8Array(1 << bits), lengths: new Uint8Array(1 << bits) };
  let at = 0;
  for (let weight = 1; weight <= bits; weight += 1) {
    for (const [symbol, of] of weights.entries()) {
      if (of !== weight) continue;
      const next = at + (1 << (weight - 1));
      table.symbols.fill(symbol, at, next);
      table.lengths.fill(bits + 1 - weight, at, next);
      at = next;
    }
  }
  return table;
}

/** A finite state entropy decoder: for each state its symbol, and how to get to the next state. */
export interface FseTable {
  /** Log2 of the number of states. */
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  readonly bitCounts: Uint8Array;
  readonly baselines: Uint16Array;
}

/** A table of one state, which always gives the same symbol. */
export function constantFseTable(symbol: number): FseTable {
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bitCounts: Uint8Array.of(0), baselines: Uint16Array.of(0) };
}

/** The table for probabilities that sum up to 2 ** accuracy; -1 stands for "less than one". RFC 8878, 4.1.1. */
export function buildFseTable(probabilities: readonly number[], accuracy: number): FseTable {
  const size = 1 << accuracy;
  const symbols = spreadSymbols(probabilities, size);
  const bitCounts = new Uint8Array(size);
  const baselines = new Uint16Array(size);
  const next = probabilities.map((probability) => (probability === -1 ? 1 : probability));
  for (let state = 0; state < size; state += 1) {
    const symbol = symbols[state] ?? 0;
    const rank = next[symbol] ?? 1;
    next[symbol] = rank + 1;
    const bits = accuracy - (31 - Math.clz32(rank));
    bitCounts[state] = bits;
    baselines[state] = (rank << bits) - size;
  }
  return { accuracy, symbols, bitCounts, baselines };
}

/** Rare symbols stand at the end, the others are strewn over the rest with a fixed step. */
function spreadSymbols(probabilities: readonly number[], size: number): Uint8Array {
  const symbols = new Uint8Array(size);
  let high = size - 1;
  for (const [symbol, probability] of probabilities.entries()) if (probability === -1) symbols[high--] = symbol;
  const step = (size >> 1) + (size >> 3) + 3;
  let position = 0;
  for (const [symbol, probability] of probabilities.entries()) {
    for (let count = 0; count < probability; count += 1) {
      symbols[position] = symbol;
      do position = (position + step) & (size - 1);
      while (position > high);
    }
  }
  return symbols;
}

/** Reads a table's description at `at`; `end` is where the next thing begins. */
export function readFseTable(bytes: Uint8Array, at: number, accuracyMax: number): { readonly table: FseTable; readonly end: number } {
  let bit = at * 8;
  const read = (count: number): number => {
    const from = bit >>> 3;
    const word = (bytes[from] ?? 0) | ((bytes[from + 1] ?? 0) << 8) | ((bytes[from + 2] ?? 0) << 16);
    const value = (word >>> (bit & 7)) & ((1 << count) - 1);
    bit += count;
    return value;
  };
  const accuracy = read(4) + 5;
  if (accuracy > accuracyMax) throw new RangeError(`zstd: a table's accuracy of ${accuracy} is above ${accuracyMax}`);
  const probabilities: number[] = [];
  let remaining = 1 << accuracy;
  while (remaining > 0) {
    const bits = 32 - Math.clz32(remaining + 1);
    const short = (1 << bits) - 1 - (remaining + 1);
    const low = (1 << (bits - 1)) - 1;
    let value = read(bits);
    if ((value & low) < short) {
      bit -= 1;
      value &= low;
    } else if (value > low) value -= short;
    const probability = value - 1;
    remaining -= Math.abs(probability);
    probabilities.push(probability);
    if (probability === 0) pushZeros(probabilities, read);
  }
  if (remaining < 0) throw new RangeError('zstd: the probabilities of a table exceed its size');
  return { table: buildFseTable(probabilities, accuracy), end: (bit + 7) >>> 3 };
}

function pushZeros(probabilities: number[], read: (count: number) => number): void {
  let repeat: number;
  do {
    repeat = read(2);
    for (let count = 0; count < repeat; count += 1) probabilities.push(0);
  } while (repeat === 3);
}

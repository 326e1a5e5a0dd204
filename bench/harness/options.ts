import { parseArgs } from 'node:util';
import { scaleMin } from '../data/tpch/tpch-size.ts';
import { isMajor, type PostgresMajor } from '../../src/embedded/find-binaries.ts';

export interface BenchOptions {
  /** Benches to run, and groups of them; when empty, those of the multi-tenant tables. */
  readonly names: readonly string[];
  readonly json: boolean;
  /** A rougher figure within 50 seconds: a tenth of the rows, short rounds. */
  readonly quick: boolean;
  /** Rounds per variant, on each side; `undefined` leaves it to the pace. */
  readonly rounds: number | undefined;
  /** Of TPC-H's data; `undefined` leaves it to the pace. */
  readonly scale: number | undefined;
  readonly major: PostgresMajor;
  readonly help: boolean;
}

/** More rows than a developer's machine would hold. */
const scaleMax = 100;

/** Reads the command line. Throws a `TypeError` that says which argument is wrong. `known` are the benches' names. */
export function parseOptions(argv: readonly string[], known: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      scale: { type: 'string' },
      major: { type: 'string', default: '18' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const stranger = positionals.find((name) => !known.includes(name));
  if (stranger !== undefined) throw new TypeError(`no bench is called "${stranger}"; there are ${known.join(', ')}`);
  return {
    names: positionals,
    json: values.json,
    quick: values.quick,
    help: values.help,
    rounds: values.rounds === undefined ? undefined : positiveInteger('--rounds', values.rounds),
    scale: values.scale === undefined ? undefined : parseScale(values.scale),
    major: parseMajor(values.major),
  };
}

function positiveInteger(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new TypeError(`${option} must be a positive whole number, not "${text}"`);
  return number;
}

function parseScale(text: string): number {
  const number = Number(text);
  if (!(number >= scaleMin && number <= scaleMax)) throw new TypeError(`--scale must be a number from ${scaleMin} to ${scaleMax}, not "${text}"`);
  return number;
}

function parseMajor(text: string): PostgresMajor {
  const number = Number(text);
  if (!isMajor(number)) throw new TypeError(`--major must be 15, 16, 17 or 18, not "${text}"`);
  return number;
}

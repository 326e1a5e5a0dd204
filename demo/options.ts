import { parseArgs } from 'node:util';
import { isMajor, type PostgresMajor } from '../src/embedded/find-binaries.ts';
import { flightsMax } from './data/flight-rows.ts';

export interface DemoOptions {
  readonly flights: number;
  readonly clicks: number;
  readonly major: PostgresMajor;
  readonly help: boolean;
}

export const usage = `npm run demo [-- --full] [--major 15|16|17|18]

Starts a coordinator and four nodes, loads real flights and a seeded multi-tenant set, and shows queries beside one plain PostgreSQL.
--full loads all 3 000 000 flights instead of the first 300 000.
`;

/** Reads the command line. Throws a `TypeError` that says which argument is wrong. */
export function parseDemoOptions(argv: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      full: { type: 'boolean', default: false },
      major: { type: 'string', default: '18' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const major = Number(values.major);
  if (!isMajor(major)) throw new TypeError(`--major must be 15, 16, 17 or 18, not "${values.major}"`);
  return { flights: values.full ? flightsMax : 300_000, clicks: values.full ? 1_000_000 : 100_000, major, help: values.help };
}

/** The parts of pg that have no types of their own. */
declare module 'pg/lib/utils.js' {
  /** Maps a JavaScript value to what a Bind message carries. Throws what a value's own `toPostgres` or `toString` throws. */
  export function prepareValue(value: unknown): Buffer | string | null;
}

declare module 'pg-types/lib/textParsers.js' {
  const textParsers: {
    /** Calls back with each type that pg has a parser for. */
    init(register: (oid: number, parser: (text: string) => unknown) => void): void;
  };
  export default textParsers;
}

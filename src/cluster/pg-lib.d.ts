/** The parts of pg that have no types of their own. */
declare module 'pg/lib/utils.js' {
  /** Maps a JavaScript value to what a Bind message carries. Throws what a value's own `toPostgres` or `toString` throws. */
  export function prepareValue(value: unknown): Buffer | string | null;
}

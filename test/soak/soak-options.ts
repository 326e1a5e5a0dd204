export interface SoakOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Application processes at a time. */
  readonly processes: number;
  /** Whether postmasters are killed, too. */
  readonly serverKills: boolean;
}

export interface SoakOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Of `moves`: so many, instead of so long. */
  readonly jobs?: number | undefined;
  /** Application processes at a time. */
  readonly processes: number;
  /** Whether postmasters are killed, too. */
  readonly serverKills: boolean;
  /** Of `schema`: whether the process that changes definitions is killed. */
  readonly processKills?: boolean | undefined;
}

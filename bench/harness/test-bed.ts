import type { Cluster } from '../../src/index.ts';
import type { SaasRows } from '../data/saas-rows.ts';
import type { Progress } from './progress.ts';
import type { Side } from './side.ts';

/** How long and how often to measure. */
export interface Pace {
  /** Length of one round of one variant on one side, where the work is repeated. */
  readonly measureMs: number;
  readonly rounds: number;
  /** The same for variants whose rounds take seconds. */
  readonly costlyRounds: number;
}

/** What a bench has to work with: both sides loaded with the same rows. */
export interface TestBed {
  readonly plain: Side;
  readonly cluster: Side;
  /** The cluster's own API, for what `pg.Pool` has no call for. */
  readonly shardwright: Cluster;
  /** Connection strings of the servers that hold the shards. */
  readonly nodeConnectionStrings: readonly string[];
  readonly rows: SaasRows;
  /** Scale of TPC-H's data: 1 is a gigabyte. */
  readonly tpchScale: number;
  readonly pace: Pace;
  /** The most server connections that the cluster may open by its configuration, over all servers. */
  readonly connectionsMax: number;
  /** Where a bench may put files. */
  readonly directory: string;
  /** Holds what was built beside the bench (see run-built.ts): `child.mjs`, which measures in a process of its own (see children/main.ts), and `cli.mjs`, the library's command. */
  readonly builtDirectory: string;
  readonly progress: Progress;
  /** Called after the last bench, whatever happened; the last one registered first. */
  atEnd(close: () => Promise<unknown>): void;
}

import type { BareCopy } from '../moves/bare-copy.ts';

/** What a measuring process is asked to do, passed as JSON in its first argument. */
export interface ChildTask {
  readonly kind: 'stream' | 'copy_in' | 'copy_out' | 'move' | 'bare_copy' | 'idle';
  readonly side: 'plain' | 'cluster';
  readonly connectionString: string;
  readonly sql: string;
  /** copy_in: the file of COPY text to send. */
  readonly file?: string;
  /** move: a shard of the group, and the node's id. */
  readonly move?: { readonly shardId: number; readonly to: number };
  readonly bareCopy?: BareCopy;
}

/** What it prints on standard output as JSON. Memory is resident set size, in megabytes of a million bytes. */
export interface ChildOutcome {
  readonly rows: number;
  readonly totalMs: number;
  /** Until the first row or chunk came; of no meaning for copy_in and idle. */
  readonly firstMs: number;
  /** Before the work began, connected. */
  readonly baseMB: number;
  readonly peakMB: number;
}

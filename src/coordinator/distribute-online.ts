import type { CreateDistributedTableOptions } from '../ddl/create-distributed-table.ts';
import type { DdlContext } from '../ddl/ddl-context.ts';
import type { Moves } from '../move/moves.ts';
import type { MoveOptions } from './cluster-moves.ts';

/** Of a table that is distributed while it is read and written. Aborting the signal gives it up, unless it is past its cut-over; what was made is removed before the call rejects with `canceled`. */
export interface OnlineDistributionOptions extends Omit<CreateDistributedTableOptions, 'signal'>, Omit<MoveOptions, 'retainMs'> {
  readonly online: true;
}

export async function distributeOnline(
  moves: Moves,
  context: DdlContext,
  { table, column, colocateWith = 'default', shardCount, hash, signal, onProgress, ...limits }: Omit<OnlineDistributionOptions, 'online'> & { readonly table: string; readonly column: string | null },
): Promise<void> {
  await moves.distribute(context, { table, column: column ?? undefined, colocateWith, shardCount, hash, limits }, { cancel: signal, onProgress });
}

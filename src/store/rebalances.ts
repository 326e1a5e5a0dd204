import { present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { nodeId, type NodeId, shardGroupId, type ShardGroupId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnections, RawRow } from '../cluster/node-connection.ts';
import { withSchema } from './install.ts';

type Coordinator = Pick<NodeConnections, 'query'>;

/** `cancelling`: no move is begun any more, and those under way are being undone. The last three are its end. */
export type RebalanceState = 'running' | 'cancelling' | 'finished' | 'failed' | 'cancelled';

export interface StoredMove {
  readonly group: ShardGroupId;
  /** A shard of the group. */
  readonly shard: number;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly cost: number;
}

export interface StoredRebalance {
  /** A bigint's text; no job has the same. */
  readonly id: string;
  readonly state: RebalanceState;
  /** In the order in which they are begun. */
  readonly moves: readonly StoredMove[];
  readonly options: Readonly<Record<string, unknown>>;
  /** Why moves did not come to be jobs, by their place among the moves. */
  readonly failures: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly finishedAt: Date | undefined;
}

/** A move of a rebalance that has begun. `state` is the folder `move`'s to understand. */
export interface MoveOfRebalance {
  readonly place: number;
  readonly jobId: string;
  readonly state: string;
  readonly error: string | undefined;
  readonly progress: Readonly<Record<string, unknown>>;
}

const columns = 'rebalance_id, state, moves, options, failures, extract(epoch FROM created_at) * 1000, extract(epoch FROM finished_at) * 1000';

/** `rebalanceInProgress` while there is one that is not over. */
export async function insertRebalance(coordinator: Coordinator & Pick<NodeConnections, 'acquire'>, { moves, options }: Pick<StoredRebalance, 'moves' | 'options'>, call?: CallOptions): Promise<string> {
  const query = { text: 'INSERT INTO shardwright.rebalance (moves, options) VALUES ($1, $2) RETURNING rebalance_id', values: [JSON.stringify(moves), JSON.stringify(options)] };
  try {
    const { rows } = await withSchema(coordinator, () => coordinator.query(query, call), call);
    return present(rows[0]?.[0] ?? undefined, 'rebalance id');
  } catch (error) {
    if (sqlStateOf(error) !== '23505') throw error;
    throw new ClusterError('rebalanceInProgress', 'a rebalance is under way already', { hint: 'cluster.rebalances() shows it, cancelJob() stops it.', cause: error });
  }
}

/** In order of id; those that are over too, or not. */
export async function listRebalances(coordinator: Coordinator & Pick<NodeConnections, 'acquire'>, which: 'all' | 'unfinished', call?: CallOptions): Promise<StoredRebalance[]> {
  const where = which === 'all' ? '' : 'WHERE finished_at IS NULL';
  const { rows } = await withSchema(coordinator, () => coordinator.query({ text: `SELECT ${columns} FROM shardwright.rebalance ${where} ORDER BY rebalance_id` }, call), call);
  return rows.map(rebalanceOf);
}

/** Undefined where there is none of this id. */
export async function readRebalance(coordinator: Coordinator, id: string, call?: CallOptions): Promise<StoredRebalance | undefined> {
  const { rows } = await coordinator.query({ text: `SELECT ${columns} FROM shardwright.rebalance WHERE rebalance_id = $1`, values: [id] }, call);
  return rows.map(rebalanceOf)[0];
}

/** Its moves that have begun, in order of place. */
export async function readMoves(coordinator: Coordinator, id: string, call?: CallOptions): Promise<MoveOfRebalance[]> {
  const text = `SELECT (options->>'place')::integer, job_id, state, error, progress FROM shardwright.job WHERE options->>'rebalance' = $1 ORDER BY 1`;
  const { rows } = await coordinator.query({ text, values: [id] }, call);
  return rows.map(([place, jobId, state, error, progress]) => ({ place: Number(place), jobId: jobId ?? '', state: state ?? '', error: error ?? undefined, progress: JSON.parse(progress ?? '{}') as Record<string, unknown> }));
}

/** Asks whoever works on it to stop. False when it is over, or there is none. */
export async function requestStop(coordinator: Coordinator, id: string, call?: CallOptions): Promise<boolean> {
  const { rowCount } = await coordinator.query({ text: `UPDATE shardwright.rebalance SET state = 'cancelling' WHERE rebalance_id = $1 AND finished_at IS NULL`, values: [id] }, call);
  return rowCount === 1;
}

export async function storeFailure(coordinator: Coordinator, id: string, { place, error }: { readonly place: number; readonly error: string }): Promise<void> {
  await coordinator.query({ text: 'UPDATE shardwright.rebalance SET failures = failures || pg_catalog.jsonb_build_object($2::text, $3::text) WHERE rebalance_id = $1', values: [id, place, error] });
}

/** Compare-and-set, so that a request to stop is not passed over: false when the state is another one than was read. */
export async function finishRebalance(coordinator: Coordinator, id: string, change: { readonly from: RebalanceState; readonly to: RebalanceState }): Promise<boolean> {
  const text = 'UPDATE shardwright.rebalance SET state = $3, finished_at = pg_catalog.clock_timestamp() WHERE rebalance_id = $1 AND state = $2';
  const { rowCount } = await coordinator.query({ text, values: [id, change.from, change.to] });
  return rowCount === 1;
}

function rebalanceOf([id, state, moves, options, failures, createdMs, finishedMs]: RawRow): StoredRebalance {
  return {
    id: id ?? '',
    state: state as RebalanceState,
    moves: (JSON.parse(moves ?? '[]') as StoredMove[]).map((move) => ({ ...move, group: shardGroupId(move.group), from: nodeId(move.from), to: nodeId(move.to) })),
    options: JSON.parse(options ?? '{}') as Record<string, unknown>,
    failures: JSON.parse(failures ?? '{}') as Record<string, string>,
    createdAt: new Date(Number(createdMs)),
    finishedAt: finishedMs === null || finishedMs === undefined ? undefined : new Date(Number(finishedMs)),
  };
}

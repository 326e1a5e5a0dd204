import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, RawRow } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { CommitGate, type SnapshotStep } from './commit-gate.ts';
import { rollbackParticipant } from './participant.ts';

/** Where one server is to be restored to. */
export interface RestorePointServer {
  /** Of the node; 0 for the coordinator database. */
  readonly nodeId: number;
  /** `host:port/database`. */
  readonly server: string;
  /** For `recovery_target_lsn`, with `recovery_target_inclusive = off`. */
  readonly lsn: string;
  /** For `recovery_target_timeline`. */
  readonly timeline: number;
  /** For `recovery_target_name`; undefined where the role may not call pg_create_restore_point(). */
  readonly restorePoint: string | undefined;
  /** Of the data directory, as pg_controldata prints it: which backup is this server's. */
  readonly systemIdentifier: string;
  readonly serverVersion: number;
  /** By the server's clock. */
  readonly time: Date;
}

/** The moment to which all servers can be restored together. */
export interface RestorePoint {
  readonly name: string;
  readonly clusterId: string;
  /** The coordinator database's first. */
  readonly servers: readonly RestorePointServer[];
}

interface RestorePointOptions extends CallOptions {
  readonly clusterId: string;
  readonly name: string;
  readonly onStep?: ((step: SnapshotStep) => void | Promise<void>) | undefined;
}

/**
 * Marks a moment in the logs of all servers at which every transaction over several of them has committed on all, or cannot be decided on any, as consistent snapshots do (`CommitGate`). One that is prepared then and not decided is rolled back by
 * recovery when the servers are restored. Errors: `invalidParameter`, `snapshotUnavailable` when commits took too long, `nodeUnreachable`, `canceled`.
 */
export async function createRestorePoint(pools: NodePools, { clusterId, name, onStep, signal }: RestorePointOptions): Promise<RestorePoint> {
  if (name === '' || Buffer.byteLength(name) > nameBytesMax) throw new ClusterError('invalidParameter', `the name of a restore point has 1 to ${nameBytesMax} bytes`);
  const connections = new Map<NodeId, NodeConnection>();
  try {
    for (const node of pools.nodeIds) connections.set(node, await pools.get(node).acquire({ signal }));
    const marked = await mark({ pools, clusterId, connections, onStep }, name, { signal });
    // A commit flushes the log, behind the mark: until then a crash could take it away.
    await Promise.all([...connections.values()].map((connection) => connection.query({ text: `SET synchronous_commit = local; SELECT pg_catalog.pg_logical_emit_message(true, 'shardwright', 'restore point'); RESET synchronous_commit`, simple: true }, { signal })));
    return { name, clusterId, servers: pools.nodeIds.map((node, i) => serverOf(pools, node, { name, row: present(marked[i]) })) };
  } finally {
    await Promise.all([...connections.values()].map(async (connection) => {
      if (connection.transactionStatus !== 'idle') await rollbackParticipant({ connection });
      connection.release();
    }));
  }
}

/** As PostgreSQL has it. */
const nameBytesMax = 63;

const mayMarkSql = `SELECT pg_catalog.has_function_privilege('pg_catalog.pg_create_restore_point(text)', 'EXECUTE')`;

async function mark(context: ConstructorParameters<typeof CommitGate>[0], name: string, options: CallOptions): Promise<RawRow[]> {
  const gate = new CommitGate(context, options);
  const mayMark = await Promise.all([...context.connections.values()].map(async (connection) => (await connection.query({ text: mayMarkSql }, options)).rows[0]?.[0] === 't'));
  await gate.onAll('BEGIN');
  await gate.takeTurn();
  await gate.close();
  const rows = await Promise.all([...context.connections.values()].map(async (connection, i) => {
    const { rows: [row] } = await connection.query({ text: markSql(mayMark[i] === true), values: mayMark[i] === true ? [name] : [] }, options);
    return present(row, 'mark');
  }));
  await context.onStep?.('taken');
  await gate.open();
  await gate.onAll('COMMIT');
  return rows;
}

function markSql(mayMark: boolean): string {
  const lsn = mayMark ? 'pg_catalog.pg_create_restore_point($1)' : 'pg_catalog.pg_current_wal_insert_lsn()';
  return `WITH mark AS MATERIALIZED (SELECT ${lsn} AS lsn)
    SELECT lsn, pg_catalog.pg_walfile_name(lsn), ${mayMark}, (SELECT system_identifier FROM pg_catalog.pg_control_system()), pg_catalog.current_setting('server_version_num'),
      extract(epoch FROM pg_catalog.clock_timestamp()) * 1000 FROM mark`;
}

function serverOf(pools: NodePools, node: NodeId, { name, row: [lsn, file, isNamed, systemIdentifier, version, timeMs] }: { readonly name: string; readonly row: RawRow }): RestorePointServer {
  return {
    nodeId: node, server: pools.get(node).name, lsn: lsn ?? '', timeline: Number.parseInt((file ?? '').slice(0, 8), 16), restorePoint: isNamed === 't' ? name : undefined,
    systemIdentifier: systemIdentifier ?? '', serverVersion: Number(version), time: new Date(Number(timeMs)),
  };
}

import { at, present } from '../base/assert.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';

/**
 * Tells whether two databases are of one running server, whatever addresses they are reached under. Copies of a data directory have the same identifier, so it is told with the
 * moment at which the server was started, in microseconds.
 */
export async function readServerIdentity(connection: NodeConnection, options?: CallOptions): Promise<string> {
  const text = `SELECT pg_catalog.concat_ws(' ', system_identifier, extract(epoch FROM pg_catalog.pg_postmaster_start_time())) FROM pg_catalog.pg_control_system()`;
  const { rows } = await connection.query({ text }, options);
  return present(at(rows, 0)[0] ?? undefined, 'identity of a server');
}

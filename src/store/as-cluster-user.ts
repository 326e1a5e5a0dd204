import { at } from '../base/assert.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/**
 * Runs what reads or changes the catalog, in a transaction block of a session that may act as a role without rights to it: as the user that the connection was made by. Afterwards the session acts as it did; when
 * `work` fails, so has the transaction.
 */
export async function asClusterUser<T>(connection: NodeConnection, options: CallOptions, work: () => Promise<T>): Promise<T> {
  // Its changes of the catalog are admitted one by one, and nothing else runs with the rights of the cluster's user.
  if (connection.admission !== undefined) return work();
  const { rows } = await connection.query({ text: whoSql }, options);
  const [mayWrite, user = '', role = ''] = at(rows, 0);
  if (mayWrite === 't') return work();
  await connection.query({ text: 'SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE none', simple: true }, options);
  const result = await work();
  const back = role === 'none' ? '' : `; SET LOCAL ROLE ${quoteIdentifier(role ?? '')}`;
  await connection.query({ text: `SET LOCAL SESSION AUTHORIZATION ${quoteIdentifier(user ?? '')}${back}`, simple: true }, options);
  return result;
}

const whoSql = `SELECT pg_catalog.has_table_privilege('shardwright.cluster', 'UPDATE'), session_user, pg_catalog.current_setting('role')`;

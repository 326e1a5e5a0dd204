import { ClusterError } from '../base/errors.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';

/** Throws 42501, as nextval does, where the role that a connection acts as may not take values of a sequence, by its OID. Those of identity columns are taken without asking. */
export async function checkUsage(connection: Pick<NodeConnection, 'query'>, sequence: number): Promise<void> {
  const { rows } = await connection.query({ values: [sequence], text: `SELECT relname FROM pg_catalog.pg_class c WHERE oid = $1 AND NOT pg_catalog.has_sequence_privilege(oid, 'USAGE, UPDATE')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'i')` });
  const [refused] = rows;
  if (refused !== undefined) throw new ClusterError('invalidParameter', `permission denied for sequence ${refused[0] ?? ''}`, { sqlState: '42501' });
}

import { createHash } from 'node:crypto';
import type { CallOptions, NodeConnection, NodeConnections, RawRow } from '../cluster/node-connection.ts';
import { withMember } from '../base/with-member.ts';
import { quoteLiteral } from '../sql/identifiers.ts';
import { withSchema } from './install.ts';

/** The secret by which sessions of roles without rights on the catalog change it. Only the cluster's own user may read it. */
export async function readAdmission(coordinator: Pick<NodeConnections, 'acquire' | 'query'>, options?: CallOptions): Promise<string> {
  const { rows } = await withSchema(coordinator, () => coordinator.query({ text: 'SELECT secret FROM shardwright.admission' }, options), options);
  return rows[0]?.[0] ?? '';
}

/**
 * A statement about the catalog, in the transaction of a connection: with the rights of the cluster's own user where the connection is another role's. For that it is handed to a function of the schema, with a
 * token that is good for this statement in this transaction of this server process and nothing else: so nothing is won by learning it, and code of the role that runs in the same transaction has no other rights than its own.
 */
export async function runOnCatalog(connection: Pick<NodeConnection, 'query' | 'admission'>, { text, values = [] }: { readonly text: string; readonly values?: readonly unknown[] | undefined }, options?: CallOptions): Promise<RawRow[]> {
  if (connection.admission?.isNeeded !== true) return (await connection.query({ text, values }, options)).rows;
  const secret = await connection.admission.secret();
  const facts = await connection.query({ text: 'SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_current_xact_id()' }, options);
  const statement = returningRows(withValues(text, values));
  const token = tokenFor(secret, [...(facts.rows[0] ?? []), statement].join(':'));
  const { rows } = await connection.query({ text: 'SELECT * FROM shardwright.run_admitted($1, $2)', values: [token, statement] }, options);
  return rows.map(([row]) => JSON.parse(row ?? '[]') as RawRow);
}

/** The connection, for changes of the catalog in a transaction of its session, which may have taken a role without rights to it (SET ROLE). */
export async function admitted(connection: NodeConnection, options?: CallOptions): Promise<NodeConnection> {
  const { admission } = connection;
  if (admission === undefined || admission.isNeeded) return connection;
  const { rows } = await connection.query({ text: `SELECT pg_catalog.has_table_privilege('shardwright.cluster', 'UPDATE')` }, options);
  return rows[0]?.[0] === 't' ? connection : withMember(connection, 'admission', { ...admission, isNeeded: true });
}

/** The function reads rows, so there must be some to read. */
function returningRows(text: string): string {
  return /^\s*(insert|update|delete)\b/i.test(text) && !/\breturning\b/i.test(text) ? `${text} RETURNING 1` : text;
}

/** A literal gets its type where it stands, as a parameter does. */
function withValues(text: string, values: readonly unknown[]): string {
  return text.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = values[Number(number) - 1];
    return value === null || value === undefined ? 'NULL' : quoteLiteral(typeof value === 'string' ? value : Array.isArray(value) ? `{${value.map((element) => JSON.stringify(element)).join(',')}}` : JSON.stringify(value));
  });
}

function tokenFor(secret: string, message: string): string {
  const inner = createHash('sha256').update(secret + message).digest();
  return createHash('sha256').update(secret).update(inner).digest('hex');
}

import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';

/** Held, exclusively, by whoever makes or removes slots of feeds, and shared by the transactions of cut-overs: so each of these is wholly behind the beginning of a feed, or before it. It needs no transaction, for which a slot would wait. */
export function feedsKey(clusterId: string): string {
  return `shardwright feeds ${clusterId}`;
}

/** Held by who reads a feed. */
export function readerKey(clusterId: string, name: string): string {
  return `shardwright feed ${clusterId} ${name}`;
}

const hashed = 'pg_catalog.hashtextextended($1, 0)';

/** An advisory lock of the connection's session. */
export async function lock(connection: NodeConnection, key: string, options?: CallOptions): Promise<void> {
  await connection.query({ text: `SELECT pg_catalog.pg_advisory_lock(${hashed})`, values: [key] }, options);
}

export async function tryLock(connection: NodeConnection, key: string, options?: CallOptions): Promise<boolean> {
  const { rows } = await connection.query({ text: `SELECT pg_catalog.pg_try_advisory_lock(${hashed})`, values: [key] }, options);
  return rows[0]?.[0] === 't';
}

/** Never throws: a connection that is lost has no locks any more. */
export async function unlock(connection: NodeConnection, key: string): Promise<void> {
  await connection.query({ text: `SELECT pg_catalog.pg_advisory_unlock(${hashed})`, values: [key] }).catch(() => undefined);
}

/** Shared, until the connection's transaction ends. */
export async function tryShareUntilCommit(connection: NodeConnection, key: string, options?: CallOptions): Promise<boolean> {
  const { rows } = await connection.query({ text: `SELECT pg_catalog.pg_try_advisory_xact_lock_shared(${hashed})`, values: [key] }, options);
  return rows[0]?.[0] === 't';
}

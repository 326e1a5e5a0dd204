import type { Pool, PoolClient } from 'pg';
import type { Connectable } from './outcome.ts';

/**
 * The pool with its connections kept when a statement fails: `pool.query` closes one each time, and a third of the cases fail. One that a failed statement leaves in a transaction block is
 * closed, as there.
 */
export function keepConnections(pool: Pool): Connectable {
  // A connection that dies says so to its statement, and the pool lets go of it.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    connect: () => pool.connect(),
    query: async (call, values) => {
      const client = await pool.connect();
      let isReusable = true;
      try {
        return await (typeof call === 'string' ? client.query(call, values) : client.query(call, values));
      } catch (error) {
        isReusable = await isIdle(client);
        throw error;
      } finally {
        client.release(!isReusable);
      }
    },
  };
}

/** The error comes before the server tells its state: that is known behind a further statement. */
async function isIdle(client: PoolClient): Promise<boolean> {
  return client.query('').then(() => client.getTransactionStatus() === 'I', () => false);
}

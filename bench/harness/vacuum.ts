import { Client } from 'pg';

/** VACUUM and ANALYZE every table of each server, so that autovacuum has nothing left to do while others are measured. */
export async function vacuumAll(connectionStrings: readonly string[]): Promise<void> {
  for (const connectionString of connectionStrings) {
    const client = new Client({ connectionString });
    await client.connect();
    try {
      await client.query('VACUUM ANALYZE');
      await client.query('CHECKPOINT');
    } finally {
      await client.end();
    }
  }
}

import { Client } from 'pg';
import { createTestDatabases } from '../../support/test-databases.ts';
import type { TestMajor } from '../../support/start-test-servers.ts';

export interface TextClient extends AsyncDisposable {
  /** All values in the server's text output, NULL as null. */
  rows(sql: string, values?: readonly unknown[]): Promise<(string | null)[][]>;
}

/** A connection with the settings that the cluster's own connections have, to a database of its own. */
export async function connectTextClient(major: TestMajor): Promise<TextClient> {
  const databases = await createTestDatabases({ major, nodes: 0 });
  const client = new Client({ connectionString: databases.coordinator.connectionString, types: { getTypeParser: () => String } });
  await client.connect();
  await client.query("SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'");
  return {
    async rows(sql, values = []) {
      const { rows } = await client.query<(string | null)[]>({ text: sql, values: [...values], rowMode: 'array' });
      return rows;
    },
    async [Symbol.asyncDispose]() {
      await client.end();
      await databases.drop();
    },
  };
}

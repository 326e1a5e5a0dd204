import { Pool } from 'pg';
import { Cluster } from '../../../src/index.ts';
import type { TestMajor } from '../../support/start-test-servers.ts';
import { createTestDatabases, type TestDatabases } from '../../support/test-databases.ts';

/** A cluster of two nodes, and one plain PostgreSQL; nothing is in them yet. */
export interface EmptyPair extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly plain: Pool;
  readonly databases: TestDatabases;
  readonly reference: TestDatabases;
}

export async function startEmptyPair(major: TestMajor): Promise<EmptyPair> {
  const databases = await createTestDatabases({ major, nodes: 2 });
  const reference = await createTestDatabases({ major, nodes: 0 });
  const cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  const plain = new Pool({ connectionString: reference.coordinator.connectionString });
  for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
  const close = async (): Promise<void> => {
    await Promise.all([cluster.end(), plain.end()]);
    await Promise.all([databases.drop(), reference.drop()]);
  };
  return { cluster, plain, databases, reference, [Symbol.asyncDispose]: close };
}

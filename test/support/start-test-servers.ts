import type { TestProject } from 'vitest/node';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { startPostgres, type PostgresServer } from '../../src/embedded/postgres-server.ts';
import { buildChildren } from './child-script.ts';
import { useDirectoryInMemory } from './directory-in-memory.ts';

/** Addresses of one version's servers, as connection strings to their `postgres` database. */
export interface TestServers {
  readonly coordinator: string;
  readonly nodes: readonly string[];
}

declare module 'vitest' {
  interface ProvidedContext {
    readonly testServers: Readonly<Record<TestMajor, TestServers>>;
  }
}

/** The oldest and the newest version we promise. */
export type TestMajor = 15 | 18;

const nodesPerMajor = 3;

/**
 * A test that hangs shall not take others with it: moves wait for each transaction of their servers, and a test has 60 s. Servers of a test's own have no such limit.
 */
const idleInTransactionMax = '40s';

/** Vitest's global set-up: a coordinator's server and three nodes' servers of each version, for all test files together, and what they start as processes. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const inMemory = useDirectoryInMemory();
  const [of15, of18, children] = await Promise.all([startServers(15), startServers(18), buildChildren()]);
  project.provide('testServers', { 15: addresses(of15), 18: addresses(of18) });
  return async () => {
    await Promise.all([...of15, ...of18].map((server) => server.stop('immediate')));
    await children[Symbol.asyncDispose]();
    inMemory[Symbol.dispose]();
  };
}

function startServers(major: TestMajor): Promise<PostgresServer[]> {
  const settings = { ...volatileSettings, max_connections: '400', shared_buffers: '48MB', idle_in_transaction_session_timeout: idleInTransactionMax };
  return Promise.all(Array.from({ length: 1 + nodesPerMajor }, () => startPostgres({ major, settings })));
}

function addresses(servers: readonly PostgresServer[]): TestServers {
  const [coordinator = '', ...nodes] = servers.map((server) => server.connectionString);
  return { coordinator, nodes };
}

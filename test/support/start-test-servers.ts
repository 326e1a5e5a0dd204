import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { assert } from '../../src/base/assert.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { isMajor, type PostgresMajor } from '../../src/embedded/find-binaries.ts';
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

/** The oldest and the newest version we promise. In the place of the newest there are servers of another, where `SHARDWRIGHT_TEST_MAJOR` says 16 or 17. */
export type TestMajor = 15 | 18;

const inPlaceOfNewest = 'SHARDWRIGHT_TEST_MAJOR';

const nodesPerMajor = 3;

/**
 * A test that hangs shall not take others with it: moves wait for each transaction of their servers, and a test has 60 s. Servers of a test's own have no such limit.
 */
const idleInTransactionMax = '40s';

/** Vitest's global set-up: a coordinator's server and three nodes' servers of each version, for all test files together, and what they start as processes. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const inMemory = useDirectoryInMemory();
  const [of15, of18, children] = await Promise.all([startServers(15), startServers(newestMajor()), buildChildren()]);
  project.provide('testServers', { 15: addresses(of15), 18: addresses(of18) });
  return async () => {
    await Promise.all([...of15, ...of18].map((server) => server.stop('immediate')));
    await children[Symbol.asyncDispose]();
    inMemory[Symbol.dispose]();
  };
}

function newestMajor(): PostgresMajor {
  const major = Number(process.env[inPlaceOfNewest] ?? 18);
  assert(isMajor(major), `${inPlaceOfNewest} is no major version that is known`);
  return major;
}

function startServers(major: PostgresMajor): Promise<PostgresServer[]> {
  const settings = { ...volatileSettings, max_connections: '400', shared_buffers: '48MB', idle_in_transaction_session_timeout: idleInTransactionMax };
  return Promise.all(Array.from({ length: 1 + nodesPerMajor }, async () => {
    const server = await startPostgres({ major, settings });
    await cacheCatalogs(server);
    return server;
  }));
}

/** The first session of a database reads its catalogs into a file, which databases that are made from it have from the beginning: 3 ms of each. */
async function cacheCatalogs({ host, port, user }: PostgresServer): Promise<void> {
  const client = await new Client({ host, port, user, database: 'template1' }).connect();
  await client.end();
}

function addresses(servers: readonly PostgresServer[]): TestServers {
  const [coordinator = '', ...nodes] = servers.map((server) => server.connectionString);
  return { coordinator, nodes };
}

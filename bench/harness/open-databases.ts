import { Client } from 'pg';
import { Cluster } from '../../src/index.ts';
import { clusterSide, plainSide, type Side } from './side.ts';
import type { TestBed } from './test-bed.ts';

/** Both sides over databases of their own, for tables whose names others have too. */
export interface OwnDatabases {
  readonly plain: Side;
  readonly cluster: Side;
  readonly shardwright: Cluster;
  /** Of all databases: plain's, the coordinator's, the nodes'. */
  readonly connectionStrings: readonly string[];
}

/** Makes an empty database of that name on every server, and a cluster of all nodes over them. They are left at the bed's end. */
export async function openDatabases(bed: TestBed, name: string): Promise<OwnDatabases> {
  const create = (connectionString: string): Promise<string> => createDatabase(connectionString, name);
  const plain = plainSide(await create(bed.plain.connectionString));
  bed.atEnd(() => plain.end());
  const coordinator = await create(bed.cluster.connectionString);
  const nodes = await Promise.all(bed.nodeConnectionStrings.map(create));
  const shardwright = new Cluster({ connectionString: coordinator });
  bed.atEnd(() => shardwright.end());
  for (const node of nodes) {
    const { hostname, port } = new URL(node);
    await shardwright.addNode({ host: hostname, port: Number(port), database: name });
  }
  return { plain, cluster: clusterSide(coordinator, shardwright), shardwright, connectionStrings: [plain.connectionString, coordinator, ...nodes] };
}

async function createDatabase(connectionString: string, name: string): Promise<string> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
  const url = new URL(connectionString);
  url.pathname = `/${name}`;
  return url.href;
}

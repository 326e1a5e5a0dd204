import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, ClusterNode } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { addressOf } from '../cluster/connection-settings.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { createNodePools } from '../cluster/node-pools.ts';
import { readCitusMetadata } from '../ddl/adopt/citus-metadata.ts';
import { type Adoption, planAdoption } from '../ddl/adopt/plan-adoption.ts';

export interface AdoptCitusOptions extends CallOptions {
  /** Connection string of Citus's coordinator, whose metadata is read. */
  readonly from: string;
  /** Only looks at the metadata, and says what would be done. */
  readonly dryRun?: boolean | undefined;
}

/** What was taken over, or would be. */
export interface AdoptedCitus {
  /** `host:port/database`. */
  readonly nodes: readonly string[];
  readonly tables: readonly { readonly schema: string; readonly name: string; readonly kind: 'distributed' | 'reference'; readonly distributionColumn: string | undefined; readonly shardCount: number }[];
}

interface ReadAdoption {
  readonly adoption: Adoption;
  readonly database: string;
  readonly summary: AdoptedCitus;
}

/** What Citus's coordinator has that could be taken over. `adoptionRefused`. */
export async function readAdoption({ from, signal }: AdoptCitusOptions): Promise<ReadAdoption> {
  const { host, port, database: name } = addressOf({ connectionString: from });
  const pools = createNodePools([{ id: coordinatorNodeId, name: `${host}:${port}/${name}`, config: { client: { connectionString: from } } }]);
  try {
    const metadata = await readCitusMetadata(pools.get(coordinatorNodeId), { signal });
    const adoption = planAdoption(metadata);
    return { adoption, database: metadata.database, summary: summaryOf(adoption, metadata.database) };
  } finally {
    await pools.end();
  }
}

function summaryOf({ nodes, colocations, references }: Adoption, database: string): AdoptedCitus {
  return {
    nodes: nodes.map(({ host, port }) => `${host}:${port}/${database}`),
    tables: [
      ...colocations.flatMap(({ tables }) => tables.map(({ schema, name, column, shardIds }) => ({ schema, name, kind: 'distributed' as const, distributionColumn: column, shardCount: shardIds.length }))),
      ...references.map(({ schema, name }) => ({ schema, name, kind: 'reference' as const, distributionColumn: undefined, shardCount: 1 })),
    ],
  };
}

/** The cluster's nodes by Citus's groups; `add` makes those that are missing. */
export async function nodesOf({ adoption, database }: ReadAdoption, { nodes }: CatalogSnapshot, add: (address: { host: string; port: number; database: string }) => Promise<ClusterNode>): Promise<Map<number, NodeId>> {
  const found = new Map<number, NodeId>();
  for (const { group, host, port } of adoption.nodes) {
    const known = nodes.find((node) => node.host === host && node.port === port && node.database === database);
    found.set(group, (known ?? (await add({ host, port, database }))).id);
  }
  return found;
}

export function noSuchNode({ host, port, database }: { host: string; port: number; database: string }): never {
  throw new ClusterError('undefinedNode', `node ${host}:${port}/${database} does not exist`);
}

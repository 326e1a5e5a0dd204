import { allOrAbort } from '../../base/abort.ts';
import { at, present } from '../../base/assert.ts';
import { type CatalogSnapshot, type CatalogTable, type ClusterNode, type ColocationGroup, type DistributedTable, tableKey } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { distributionType } from '../../catalog/hash/distribution-type.ts';
import { type NodeId, shardId, type ShardId } from '../../catalog/ids.ts';
import { shardName } from '../../catalog/shard-name.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { readJobSchemas } from '../../store/jobs.ts';
import { readSnapshot } from '../../store/load-snapshot.ts';
import { readNodeIdentity } from '../../store/node-identity.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import type { DdlContext } from '../ddl-context.ts';
import { definitionSettings } from '../definition-settings.ts';
import { inheritedNames } from '../inherited-names.ts';
import { publishedOn } from '../publications.ts';
import { readDefinitions, readShardDefinitions } from '../read-definition.ts';
import { referencedShards } from '../referenced-shards.ts';
import type { ShardWish } from '../render-shard.ts';
import type { TableDefinition } from '../table-definition.ts';
import { compareObjects, readShared, type SharedObjects } from './compare-objects.ts';
import { compareShard } from './compare-shard.ts';
import { findOrphans } from './find-orphans.ts';
import type { PartDifference } from './part.ts';
import { type SchemaDifference, type SchemaReport, schemaReport } from './schema-report.ts';
import { compareShells } from './compare-shells.ts';
import { waitWhile } from './wait-while.ts';

/** A shard as it should be on a node. */
interface Placed {
  readonly table: TableDefinition;
  readonly name: string;
  readonly wish: ShardWish;
}

/** Definitions per query: bounds memory, whatever the number of shards. */
const shardsPerQuery = 1000;

/**
 * Compares every shard, and every copy of a reference table, with its table in the coordinator database, and what nodes have beside tables with what a new node would be given. Reads only, and keeps definitions from changing through the library meanwhile. A few
 * queries per server, whatever the number of shards. `nodeUnreachable`.
 */
export async function checkSchema(context: DdlContext, coordinatorName: string, options: CallOptions = {}): Promise<SchemaReport> {
  await loadGrammar();
  const transaction = context.begin();
  try {
    const coordinator = await transaction.join(coordinatorNodeId, 'read', options);
    await coordinator.query({ text: 'SELECT FROM shardwright.cluster FOR SHARE' }, options);
    const snapshot = await readSnapshot(coordinator, options);
    await coordinator.query({ text: definitionSettings, simple: true }, options);
    context.admitNodes(snapshot.nodes);
    const tables = [...snapshot.tables.values()];
    const definitions = await readDefinitions(coordinator, tables.map(({ oid }) => oid), options);
    const shells = await compareShells(coordinator, [...definitions.values()], { ...options, node: coordinatorName });
    const perNode = placeShards(snapshot, definitions);
    const ofJobs = await readJobSchemas(coordinator, options);
    const shared = await readShared(coordinator, options);
    const own = (await readNodeIdentity(coordinator, options))?.node;
    const found = await allOrAbort(
      options.signal,
      snapshot.nodes.map((node) => (signal) => compareNode({ snapshot, transaction, ofJobs, shared: node.id === own ? undefined : shared, signal }, node, present(perNode.get(node.id)))),
    );
    const shards = [...perNode.values()].reduce((sum, placed) => sum + placed.length, 0);
    return schemaReport([...shells, ...found.flat()], shards);
  } finally {
    await transaction.rollback();
  }
}

function placeShards(snapshot: CatalogSnapshot, definitions: ReadonlyMap<number, TableDefinition>): Map<NodeId, Placed[]> {
  const perNode = new Map<NodeId, Placed[]>(snapshot.nodes.map(({ id }) => [id, []]));
  for (const table of snapshot.tables.values()) {
    const definition = present(definitions.get(table.oid), 'definition');
    for (const { node, wish } of wishesOf(table, definitions, snapshot)) {
      const own = table.kind === 'reference' ? publishedOn(definition, node, snapshot.nodes) : definition;
      perNode.get(node)?.push({ table: own, name: shardName(table.name, wish.id), wish });
    }
  }
  return perNode;
}

interface PlacedWish {
  readonly node: NodeId;
  readonly wish: ShardWish;
}

function wishesOf(table: CatalogTable, definitions: ReadonlyMap<number, TableDefinition>, snapshot: CatalogSnapshot): PlacedWish[] {
  const definition = present(definitions.get(table.oid), 'definition');
  if (table.kind === 'reference') {
    return snapshot.nodes.map(({ id }) => ({ node: id, wish: { id: table.shardId, hash: undefined, references: referencedShards(definition, 0) } }));
  }
  const group = present(snapshot.colocationGroups.get(table.colocationId));
  const sql = hashSql(table, group);
  const above = [...ancestorsOf(definition, definitions)];
  return table.shardIds.map((id, ordinal) => {
    const range = at(group.shardGroups, ordinal);
    const hash = sql !== undefined && group.hash === 'postgres' && definition.partitionKey === null ? { sql, range } : undefined;
    return { node: range.node, wish: { id, hash, references: referencedShards(definition, ordinal), inherited: inheritedNames(definition, above, shardsAbove(above, ordinal)) } };
  });
}

/** Undefined for a single-shard table. */
function hashSql({ distributionColumn }: DistributedTable, group: ColocationGroup): string | undefined {
  return distributionColumn === undefined ? undefined : present(distributionType(group.distributionType ?? '')).hashSql(quoteIdentifier(distributionColumn.name));
}

function* ancestorsOf({ partitionOf }: TableDefinition, definitions: ReadonlyMap<number, TableDefinition>): Iterable<TableDefinition> {
  const parent = partitionOf === null ? undefined : definitions.get(partitionOf.table.oid);
  if (parent === undefined) return;
  yield parent;
  yield* ancestorsOf(parent, definitions);
}

function shardsAbove(above: readonly TableDefinition[], ordinal: number): Map<number, ShardId> {
  return new Map(above.map(({ oid, distribution }) => [oid, shardId(present(distribution?.shardIds[ordinal]))]));
}

interface Comparing extends CallOptions {
  readonly snapshot: CatalogSnapshot;
  readonly transaction: DistributedTransaction;
  readonly ofJobs: ReadonlySet<string>;
  /** Undefined where the node is the coordinator database itself. */
  readonly shared: SharedObjects | undefined;
}

async function compareNode(comparing: Comparing, node: ClusterNode, placed: readonly Placed[]): Promise<SchemaDifference[]> {
  const { transaction, signal, snapshot, ofJobs, shared } = comparing;
  const connection = await transaction.join(node.id, 'read', { signal });
  await connection.query({ text: definitionSettings, simple: true }, { signal });
  await untilChangesAreThere(connection, signal);
  const name = `${node.host}:${node.port}/${node.database}`;
  const objects = shared === undefined ? [] : await compareObjects(connection, shared, { signal });
  const differences = objects.map((difference) => reported(difference, { schema: null, table: null, shard: null, node: name }));
  for (let start = 0; start < placed.length; start += shardsPerQuery) {
    const part = placed.slice(start, start + shardsPerQuery);
    const found = await readShardDefinitions(connection, part.map((shard) => ({ schema: shard.table.schema, name: shard.name })), { signal });
    for (const shard of part) {
      const parts = compareShard(shard.table, shard.wish, found.get(tableKey(shard.table.schema, shard.name)));
      differences.push(...parts.map((part) => reported(part, { schema: shard.table.schema, table: shard.table.name, shard: shard.name, node: name })));
    }
  }
  return [...differences, ...(await findOrphans(connection, { snapshot, node, name, ofJobs, signal }))];
}

function reported({ what, expected, found, repair }: PartDifference, place: Pick<SchemaDifference, 'schema' | 'table' | 'shard' | 'node'>): SchemaDifference {
  return { ...place, what, expected: expected ?? null, found: found ?? null, repair: repair.join(';\n') };
}

/** A change that the coordinator database has committed may still be prepared here, with its locks. One that stays in doubt is not waited for. */
async function untilChangesAreThere(connection: NodeConnection, signal: AbortSignal | undefined): Promise<void> {
  const text = `SELECT EXISTS (SELECT FROM pg_locks WHERE pid IS NULL AND locktype = 'relation' AND mode = 'AccessExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`;
  await waitWhile(async () => (await connection.query({ text }, { signal })).rows[0]?.[0] === 't', signal);
}

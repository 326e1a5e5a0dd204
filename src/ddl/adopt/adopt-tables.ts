import { at, present } from '../../base/assert.ts';
import type { ColocationGroup } from '../../catalog/catalog-snapshot.ts';
import { type NodeId, type ShardId, shardId } from '../../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { findDefaultGroup, insertAdoptedTable, insertGroup, passShardIds } from '../../store/catalog-changes.ts';
import { changeCatalog, type CatalogChange, resolveTable } from '../change-catalog.ts';
import { checkBehaviour } from '../check-behaviour.ts';
import { checkDistributionColumn, type DistributionColumn } from '../check-distribution-column.ts';
import { checkForeignKeys } from '../check-foreign-keys.ts';
import { checkProperties, checkTable } from '../check-table.ts';
import type { DdlContext } from '../ddl-context.ts';
import { runOnNodes } from '../on-nodes.ts';
import { readDefinition } from '../read-definition.ts';
import { hashCheck } from '../render-shard.ts';
import { hashConstraint, ShardNames } from '../shard-names.ts';
import { fenceShell, hasRows } from '../shell.ts';
import type { TableDefinition } from '../table-definition.ts';
import { compareColumns, type PlacedCopy } from './compare-columns.ts';
import { type AdoptedColocation, type Adoption, refused } from './plan-adoption.ts';

export interface AdoptionInput extends CallOptions {
  readonly adoption: Adoption;
  /** Nodes of this cluster by Citus's groups. */
  readonly nodes: ReadonlyMap<number, NodeId>;
}

/**
 * Takes shards over where they are, under their names, as those of tables of the coordinator database, which must be there, and empty: in one distributed transaction, all or nothing. Each shard gets a constraint that its rows have its hashes;
 * making it reads them all, which proves that they are placed here as they were there. Errors: `adoptionRefused`, `undefinedTable`, `alreadyDistributed`, `unsupportedTable`, and those of the nodes (23514: rows that are astray).
 */
export function adoptTables(context: DdlContext, { adoption, nodes, signal }: AdoptionInput): Promise<void> {
  return changeCatalog(context, {
    signal,
    lockFirst: (coordinator) => lockTables(coordinator, adoption, signal),
    body: async (change, oids) => {
      const others = change.nodes.filter(({ id }) => ![...nodes.values()].includes(id));
      if (others.length > 0 && adoption.references.length > 0) throw refused(others.map(({ host, port }) => `Node ${host}:${port} has no copies of the reference tables.`));
      const adopted = [...(await adoptReferences(change, { adoption, nodes, oids })), ...(await adoptColocations(change, { adoption, nodes, oids }))];
      await passShardIds(change);
      await checkAdopted(change, adopted);
      await runOnNodes(change, constraintsOf(adopted));
      for (const { table } of adopted) await fenceShell(change, table);
    },
  });
}

/** Nobody else reads or writes the tables meanwhile. Their OIDs, by their quoted names. */
export async function lockTables(coordinator: NodeConnection, { colocations, references }: Adoption, signal: AbortSignal | undefined): Promise<Map<string, number>> {
  const oids = new Map<string, number>();
  for (const { schema, name } of [...references, ...colocations.flatMap(({ tables }) => tables)]) {
    const sql = quoteQualified(schema, name);
    oids.set(sql, (await resolveTable(coordinator, sql, signal)).oid);
    await coordinator.query({ text: `LOCK TABLE ${sql} IN ACCESS EXCLUSIVE MODE` }, { signal });
  }
  return oids;
}

interface Adopting extends Pick<AdoptionInput, 'adoption' | 'nodes'> {
  readonly oids: ReadonlyMap<string, number>;
}

interface AdoptedTable {
  readonly table: TableDefinition;
  /** Undefined for a reference table. */
  readonly distribution: DistributionColumn | undefined;
  readonly group: ColocationGroup | undefined;
  readonly copies: readonly PlacedCopy[];
}

async function adoptReferences(change: CatalogChange, { adoption, nodes, oids }: Adopting): Promise<AdoptedTable[]> {
  const adopted: AdoptedTable[] = [];
  for (const { schema, name, shardId: id } of adoption.references) {
    const table = await emptyTable(change, present(oids.get(quoteQualified(schema, name))));
    await insertAdoptedTable(change, { oid: table.oid, distributionPosition: undefined, group: undefined, shardIds: [shardId(id)] });
    adopted.push({ table, distribution: undefined, group: undefined, copies: [...nodes.values()].map((node) => ({ node, shard: shardId(id) })) });
  }
  return adopted;
}

async function adoptColocations(change: CatalogChange, { adoption, nodes, oids }: Adopting): Promise<AdoptedTable[]> {
  const adopted: AdoptedTable[] = [];
  for (const colocation of adoption.colocations) {
    const members: { table: TableDefinition; distribution: DistributionColumn; shardIds: readonly ShardId[] }[] = [];
    for (const { schema, name, column, shardIds } of colocation.tables) {
      const table = await emptyTable(change, present(oids.get(quoteQualified(schema, name))));
      members.push({ table, distribution: checkDistributionColumn(table, column), shardIds: shardIds.map(shardId) });
    }
    const group = await groupOf(change, { colocation, type: at(members, 0).distribution.type.name, nodes });
    for (const { table, distribution, shardIds } of members) {
      if (distribution.type.name !== group.distributionType) throw refused([`Table "${table.name}" has a distribution column of another type than tables that it is co-located with.`]);
      await insertAdoptedTable(change, { oid: table.oid, distributionPosition: distribution.column.position, group, shardIds });
      adopted.push({ table, distribution, group, copies: shardIds.map((shard, i) => ({ shard, node: at(group.shardGroups, i).node })) });
    }
  }
  return adopted;
}

async function emptyTable(change: CatalogChange, oid: number): Promise<TableDefinition> {
  const table = await readDefinition(change.coordinator, oid, change);
  checkTable(table);
  if (table.partitionKey !== null || table.partition) throw refused([`Table "${table.name}" is partitioned.`]);
  if (await hasRows(change, table)) throw refused([`Table "${table.name}" has rows in this coordinator database.`]);
  return table;
}

/** Later tables join it by default, unless they have another group to join. */
async function groupOf(change: CatalogChange, { colocation, type, nodes }: { colocation: AdoptedColocation; type: string; nodes: AdoptionInput['nodes'] }): Promise<ColocationGroup> {
  const wish = { distributionType: type, shardCount: colocation.slices.length, hash: 'postgres' } as const;
  const joinableByDefault = (await findDefaultGroup(change, wish)) === undefined;
  return insertGroup(change, { ...wish, joinableByDefault, slices: colocation.slices.map(({ min, max, group }) => ({ min, max, node: present(nodes.get(group), 'node') })) });
}

/** What the tables are not to be like, now that each knows of the others; and whether the shards have their columns. */
async function checkAdopted(change: CatalogChange, adopted: readonly AdoptedTable[]): Promise<void> {
  const problems: string[] = [];
  for (const { table: before, distribution, group, copies } of adopted) {
    const table = await readDefinition(change.coordinator, before.oid, change);
    checkProperties(table);
    checkBehaviour(table, distribution === undefined ? 'reference' : 'postgres');
    if (distribution === undefined && table.triggers !== null) problems.push(`Reference table "${table.name}" has triggers, which each copy would run: drop them, and create them again afterwards.`);
    checkForeignKeys(table, distribution === undefined ? { kind: 'reference' } : { kind: 'distributed', column: distribution.column, colocationId: group?.id });
    problems.push(...(await compareColumns(change, table, copies)));
  }
  if (problems.length > 0) throw refused(problems);
}

function constraintsOf(adopted: readonly AdoptedTable[]): Map<NodeId, string[]> {
  const statements = new Map<NodeId, string[]>();
  for (const { table, distribution, group, copies } of adopted) {
    if (distribution === undefined || group === undefined) continue;
    const sql = distribution.type.hashSql(quoteIdentifier(distribution.column.name));
    for (const [i, { node, shard }] of copies.entries()) {
      const names = new ShardNames(table, shard);
      const add = `ALTER TABLE ${names.sql} ADD CONSTRAINT ${names.part(hashConstraint)} ${hashCheck({ sql, range: at(group.shardGroups, i) })}`;
      statements.set(node, [...(statements.get(node) ?? []), add]);
    }
  }
  return statements;
}

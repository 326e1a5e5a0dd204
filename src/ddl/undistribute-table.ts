import { ClusterError } from '../base/errors.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { deleteTable } from '../store/catalog-changes.ts';
import { changeTable, type CatalogChange } from './change-catalog.ts';
import { unsupportedTable } from './check-table.ts';
import { columnList } from './column-list.ts';
import { copyToCoordinator } from './copy-to-coordinator.ts';
import { checkNotOfSchema } from './schemas/check-schemas.ts';
import type { DdlContext } from './ddl-context.ts';
import { runOnNodes } from './on-nodes.ts';
import { readPlacements, type Placement } from './placements.ts';
import { readTree } from './read-definition.ts';
import { keepCopies } from './shell-copies.ts';
import { unfenceShell, wholeTable, withoutTriggers } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * Brings a distributed or reference table's rows back into the coordinator database and drops its shards, in one distributed transaction.
 * `notDistributed`; `unsupportedTable` while foreign keys connect it to other tables that are distributed.
 */
export function undistributeTable(context: DdlContext, table: string, options: CallOptions = {}): Promise<void> {
  return changeTable(context, {
    table,
    signal: options.signal,
    body: async (change, definition) => {
      checkDistributed(definition);
      checkWhole(definition);
      await checkNotOfSchema(change, definition, 'undistribute');
      await undistributeTrees(change, [await readTree(change.coordinator, definition, change)]);
    },
  });
}

interface PlacedRoot {
  readonly table: TableDefinition;
  readonly placements: readonly Placement[];
}

/** Tables, each with its partitions, parents first, that may refer to each other. */
export async function undistributeTrees(change: CatalogChange, trees: readonly (readonly TableDefinition[])[]): Promise<void> {
  const members = trees.flat();
  const together = new Set(members.map(({ oid }) => oid));
  for (const member of members) checkUnconnected(member, together);
  const roots: PlacedRoot[] = [];
  for (const table of referredFirst(trees.flatMap(([root]) => root ?? []))) roots.push({ table, placements: await readPlacements(change, table) });
  await runOnNodes(change, perNode(roots, lockShard));
  for (const member of members) await unfenceShell(change, member);
  await keepCopies(change, members.flatMap(({ constraints }) => (constraints ?? []).flatMap(({ foreign }) => (foreign === null || together.has(foreign.table.oid) ? [] : [foreign.table.oid]))));
  await withoutTriggers(change, members, async () => {
    // The rows of a shell that is a copy are all there.
    for (const { table, placements } of roots.filter((root) => root.table.distribution?.shellIsCopy !== true)) for (const placement of oncePerShard(placements)) await bringBack(change, table, placement);
  });
  const shards = perNode(roots, shardSql);
  await runOnNodes(change, new Map([...shards].map(([node, list]) => [node, [`DROP TABLE ${list.join(', ')}`]])));
  for (const { oid } of members) await deleteTable(change, oid);
}

/** Their rows are brought back in an order in which foreign keys between them hold. `unsupportedTable` where there is none. */
function referredFirst(tables: readonly TableDefinition[]): TableDefinition[] {
  const ordered: TableDefinition[] = [];
  const left = new Set(tables);
  while (left.size > 0) {
    const next = [...left].filter((table) => ![...left].some((other) => other !== table && refersTo(table, other)));
    const [stuck] = left;
    if (next.length === 0 && stuck !== undefined) throw unsupportedTable(stuck, { message: 'foreign keys connect it to others in a circle', hint: 'Drop one of them first.' }, 'undistribute');
    for (const table of next) left.delete(table);
    ordered.push(...next);
  }
  return ordered;
}

function refersTo(table: TableDefinition, { oid }: TableDefinition): boolean {
  return (table.constraints ?? []).some(({ foreign }) => foreign?.table.oid === oid);
}

export function checkDistributed(table: TableDefinition): void {
  if (table.distribution !== null) return;
  const fields = { schema: table.schema, table: table.name };
  throw new ClusterError('notDistributed', `table "${table.name}" is not distributed`, fields);
}

function checkWhole(table: TableDefinition): void {
  if (table.partitionOf === null) return;
  throw unsupportedTable(table, { message: `it is a partition of "${table.partitionOf.table.name}"`, hint: 'Undistribute that one, with all its partitions.' }, 'undistribute');
}

/** Its rows would be checked against empty shells, where they refer to others than reference tables, or other tables' rows against rows that went away. */
function checkUnconnected(table: TableDefinition, together: ReadonlySet<number>): void {
  const outward = table.constraints?.find(({ foreign }) => foreign !== null && !together.has(foreign.table.oid) && foreign.table.distribution?.kind === 'distributed');
  if (outward?.foreign) throw connected(table, outward.name, `to "${outward.foreign.table.name}"`);
  const inward = table.referencedBy?.find(({ table: referrer }) => !together.has(referrer.oid) && referrer.distribution !== null);
  if (inward !== undefined) throw connected(table, inward.constraint, `from "${inward.table.name}"`);
}

function connected(table: TableDefinition, constraint: string, where: string): ClusterError {
  return unsupportedTable(table, {
    message: `foreign key "${constraint}" ${where} connects it to a distributed table`,
    hint: 'Drop the foreign key, or undistribute the table that refers to the other first.',
  }, 'undistribute');
}

/** A reference table has the same rows on every node. */
function oncePerShard(placements: readonly Placement[]): Placement[] {
  const seen = new Set<ShardId>();
  return placements.filter(({ shard }) => !seen.has(shard) && seen.add(shard));
}

function perNode(roots: readonly PlacedRoot[], statement: (table: TableDefinition, id: ShardId) => string): Map<NodeId, string[]> {
  const statements = new Map<NodeId, string[]>();
  for (const { table, placements } of roots) for (const { shard, node } of placements) statements.set(node, [...(statements.get(node) ?? []), statement(table, shard)]);
  return statements;
}

/** All of its rows are to be read, whatever policies say of the owner. */
function lockShard(table: TableDefinition, id: ShardId): string {
  const sql = shardSql(table, id);
  return `LOCK TABLE ${sql} IN ACCESS EXCLUSIVE MODE${table.rowSecurityForced ? `;\nALTER TABLE ${sql} NO FORCE ROW LEVEL SECURITY` : ''}`;
}

async function bringBack(change: CatalogChange, table: TableDefinition, placement: Placement): Promise<void> {
  const columns = columnList(table);
  if (columns === '') return;
  const source = await change.transaction.join(placement.node, 'write', change);
  await copyToCoordinator(change, {
    source, from: `(SELECT ${columns} FROM ${wholeTable(shardSql(table, placement.shard), table)})`, into: `COPY ${quoteQualified(table.schema, table.name)} (${columns}) FROM STDIN`,
    noneTaken: `the shell took no rows of shard ${placement.shard}`,
  });
}

function shardSql(table: TableDefinition, id: ShardId): string {
  return quoteQualified(table.schema, shardName(table.name, id));
}

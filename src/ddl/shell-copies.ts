import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import { copyWrite } from '../catalog/reference-copies.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { bumpVersion, renewShards, setShellCopies } from '../store/catalog-changes.ts';
import type { CatalogChange } from './change-catalog.ts';
import { checkShellCopy } from './check-shell-copy.ts';
import { columnList } from './column-list.ts';
import { copyToCoordinator } from './copy-to-coordinator.ts';
import { runOnNodes } from './on-nodes.ts';
import { readPlacements } from './placements.ts';
import { readDefinitions } from './read-definition.ts';
import { renameShard } from './rename-shard.ts';
import { fenceShell, onCoordinator, unfenceShell, withoutTriggers } from './shell.ts';
import { ShardNames } from './shard-names.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * Makes the shells of these reference tables copies of them, and of those that they refer to: from now on local tables can refer to their rows, and the coordinator database checks and keeps the foreign keys as its own.
 * Shells that are copies stay as they are.
 *
 * 1. The shells are locked, then the shards get new ids and so new names, which waits for their writers: a process that knows nothing of the new copy finds no shard (42P01), and plans anew. None can write past it.
 * 2. The rows of a node's copy come into the shell, those first that others refer to.
 * 3. The fence lets through what is written as to one of the copies, and the catalog says that there is one more.
 *
 * `unsupportedDdl` for tables whose copies could come to differ there.
 */
export async function keepCopies(change: CatalogChange, oids: readonly number[]): Promise<void> {
  const wanted = (await onCoordinator(change, reachedReferences, [oids])).map(([oid]) => Number(oid));
  if (wanted.length === 0) return;
  const tables = await definitionsOf(change, wanted);
  const ordered = referredFirst(tables);
  for (const table of ordered) checkShellCopy(table, ordered);
  await checkSeesAll(change);
  await lockShells(change, tables);
  const ids = await renamed(change, tables);
  await withoutTriggers(change, tables, async () => {
    for (const table of ordered) await fill(change, table, present(ids.get(table.oid)));
  });
  await openShells(change, tables);
}

/** The shell has the rows already, since it was a table that others refer to. */
export async function keepRows(change: CatalogChange, table: TableDefinition): Promise<void> {
  checkShellCopy(table, [table]);
  await fenceShell(change, table, 'copy');
  await setShellCopies(change, [table.oid], true);
  await keepCopies(change, (table.constraints ?? []).flatMap(({ foreign }) => (foreign === null ? [] : [foreign.table.oid])));
}

/** Of these tables the reference tables that rows of local tables may refer to, with a foreign key that there is. */
export async function referredLocally(change: CatalogChange, oids: readonly number[]): Promise<number[]> {
  return (await onCoordinator(change, `SELECT relation::oid FROM shardwright.distributed_table t WHERE kind = 'reference' AND relation::oid = ANY ($1::oid[])
    AND EXISTS (SELECT FROM pg_constraint o WHERE o.confrelid = t.relation AND o.contype = 'f' AND ${isLocal('o.conrelid')})`, [oids])).map(([oid]) => Number(oid));
}

/**
 * Empties shells that are copies and to which no local table refers any more, and puts their fences up again. The shards get new ids here, too: who still thinks of the copy writes nothing. A table of another role than the
 * change's own stays as it is, with all that it refers to, until somebody who may does it.
 */
export async function releaseCopies(change: CatalogChange): Promise<void> {
  const oids = (await onCoordinator(change, unneededCopies)).map(([oid]) => Number(oid));
  if (oids.length === 0) return;
  const tables = await definitionsOf(change, oids);
  await lockShells(change, tables);
  await withoutTriggers(change, tables, async () => {
    for (const table of referredFirst(tables).toReversed()) await onCoordinator(change, copyWrite(`DELETE FROM ONLY ${shellSql(table)}`, coordinatorNodeId));
  });
  await renamed(change, tables);
  for (const table of tables) {
    await unfenceShell(change, table);
    await fenceShell(change, table);
  }
  await setShellCopies(change, oids, false);
  await bumpVersion(change, oids);
}

const isLocal = (oid: string): string => `NOT EXISTS (SELECT FROM shardwright.distributed_table d WHERE d.relation = ${oid})`;

/** With those that they refer to, over any number of steps; without shells that are copies already. */
const reachedReferences = `
WITH RECURSIVE reached (oid) AS (
  SELECT unnest($1::oid[])
  UNION SELECT o.confrelid FROM reached r JOIN pg_constraint o ON o.conrelid = r.oid AND o.contype = 'f'
)
SELECT t.relation::oid FROM reached r JOIN shardwright.distributed_table t ON t.relation = r.oid WHERE t.kind = 'reference' AND NOT t.shell_is_copy ORDER BY 1`;

/** What stays needs its rows to refer to. */
const unneededCopies = `
WITH RECURSIVE needed (oid) AS (
  SELECT t.relation::oid FROM shardwright.distributed_table t JOIN pg_class c ON c.oid = t.relation
  WHERE t.shell_is_copy AND (NOT pg_has_role(c.relowner, 'USAGE') OR EXISTS (SELECT FROM pg_constraint o WHERE o.confrelid = t.relation AND o.contype = 'f' AND ${isLocal('o.conrelid')}))
  UNION SELECT o.confrelid FROM needed n JOIN pg_constraint o ON o.conrelid = n.oid AND o.contype = 'f'
)
SELECT relation::oid FROM shardwright.distributed_table WHERE shell_is_copy AND relation::oid NOT IN (SELECT oid FROM needed) ORDER BY 1`;

/** In order of OIDs, in which they are locked. */
async function definitionsOf(change: CatalogChange, oids: readonly number[]): Promise<TableDefinition[]> {
  return [...(await readDefinitions(change.coordinator, oids, change)).values()].toSorted((a, b) => a.oid - b.oid);
}

/** So that rows can be filled in one table after the other. `unsupportedDdl` where they refer to each other in a circle. */
function referredFirst(tables: readonly TableDefinition[]): TableDefinition[] {
  const ordered: TableDefinition[] = [];
  const left = new Set(tables);
  while (left.size > 0) {
    const next = [...left].filter((table) => ![...left].some((other) => other !== table && refersTo(table, other)));
    const [stuck] = left;
    if (next.length === 0 && stuck !== undefined) throw inCircle(stuck);
    for (const table of next) left.delete(table);
    ordered.push(...next);
  }
  return ordered;
}

function refersTo({ constraints }: TableDefinition, { oid }: TableDefinition): boolean {
  return (constraints ?? []).some(({ foreign }) => foreign?.table.oid === oid);
}

function inCircle({ schema, name: table }: TableDefinition): ClusterError {
  return new ClusterError('unsupportedDdl', `local tables cannot refer to reference table "${table}"`, {
    detail: 'It and other reference tables refer to each other in a circle.', hint: 'Drop one of their foreign keys, or distribute the local table.', schema, table,
  });
}

/** Rows are read after the writers have been waited for; an older snapshot would not show what they wrote. */
async function checkSeesAll(change: CatalogChange): Promise<void> {
  const [row] = await onCoordinator(change, `SELECT current_setting('transaction_isolation')`);
  if (row?.[0] === 'read committed') return;
  throw new ClusterError('unsupportedDdl', `a foreign key of a local table to a reference table cannot be made in a ${row?.[0]} transaction`, {
    detail: 'The rows of the reference table are copied to the coordinator database, and the snapshot of the transaction may be older than some.', hint: 'Use READ COMMITTED.',
  });
}

/** As strongly as taking their fences down does: who gets in between would wait for the rows, and be waited for then. */
async function lockShells(change: CatalogChange, tables: readonly TableDefinition[]): Promise<void> {
  for (const table of tables) await onCoordinator(change, `LOCK TABLE ONLY ${shellSql(table)} IN ACCESS EXCLUSIVE MODE`);
}

/** Gives the shards new ids and names; the ids by the table's OID. */
async function renamed(change: CatalogChange, tables: readonly TableDefinition[]): Promise<Map<number, ShardId>> {
  const placed = [];
  for (const table of tables) placed.push({ table, placements: await readPlacements(change, table) });
  const ids = await renewShards(change, tables.map(({ oid }) => oid));
  const renames = new Map<NodeId, string[]>();
  for (const { table, placements } of placed) {
    for (const { node, shard } of placements) renames.set(node, [...(renames.get(node) ?? []), ...renameShard(table, { from: shard, to: present(ids.get(shard)), hasHash: false })]);
  }
  await runOnNodes(change, renames);
  return new Map(placed.map(({ table, placements }) => [table.oid, present(ids.get(at(placements, 0).shard))]));
}

async function fill(change: CatalogChange, table: TableDefinition, id: ShardId): Promise<void> {
  const columns = columnList(table);
  if (columns === '') return;
  const shard = new ShardNames(table, id).sql;
  const source = await change.transaction.join(at(change.nodes, 0).id, 'write', change);
  const force = (how: 'NO FORCE' | 'FORCE'): Promise<unknown> => (table.rowSecurityForced ? source.query({ text: `ALTER TABLE ${shard} ${how} ROW LEVEL SECURITY` }, change) : Promise.resolve());
  await force('NO FORCE');
  await copyToCoordinator(change, {
    source, from: `(SELECT ${columns} FROM ONLY ${shard})`, into: copyWrite(`COPY ${shellSql(table)} (${columns}) FROM STDIN`, coordinatorNodeId), noneTaken: `the shell of "${table.name}" took no rows`,
  });
  await force('FORCE');
}

async function openShells(change: CatalogChange, tables: readonly TableDefinition[]): Promise<void> {
  for (const table of tables) {
    await unfenceShell(change, table);
    await fenceShell(change, table, 'copy');
  }
  const oids = tables.map(({ oid }) => oid);
  await setShellCopies(change, oids, true);
  await bumpVersion(change, oids);
}

function shellSql({ schema, name }: TableDefinition): string {
  return quoteQualified(schema, name);
}

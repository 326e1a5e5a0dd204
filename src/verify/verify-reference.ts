import { setTimeout as delay } from 'node:timers/promises';
import { at, present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable, ReferenceTable } from '../catalog/catalog-snapshot.ts';
import { tableByOid } from '../catalog/table-by-oid.ts';
import { copyHolders, copyName, copySql } from '../catalog/reference-copies.ts';
import { definitionSettings } from '../ddl/definition-settings.ts';
import { compareCopies, type TableCopy } from './compare-copies.ts';
import { comparedRows } from './table-rows.ts';
import { type FoundRows, nodeName, snapshotModes, type TableCheck } from './verify-context.ts';

const lockTimeoutMs = 500;
const pauseMs = 200;
const attemptsMax = 60;

/**
 * Compares all copies of a reference table at one moment: in a transaction whose snapshots on all nodes show each write wholly or not at all. Before they are taken the copies are locked, in the mode in which everybody reads,
 * since an older snapshot would not save them from TRUNCATE. Writes go on meanwhile.
 */
export async function verifyReference(check: TableCheck): Promise<FoundRows> {
  for (let attempt = 1; ; attempt += 1) {
    const found = await attemptOnce(check).catch((error: unknown) => {
      if (attempt === attemptsMax || !isPassing(error)) throw error;
    });
    if (found !== undefined) return found;
    if (attempt === attemptsMax) throw new ClusterError('lockNotAvailable', `reference table "${check.table.name}" changes too often to be verified`);
    await delay(pauseMs, undefined, { signal: check.signal });
  }
}

/** lock_not_available, deadlock_detected; undefined_table: renamed just now. */
function isPassing(error: unknown): boolean {
  return ['55P03', '40P01', '42P01'].includes(sqlStateOf(error) ?? '');
}

/** Undefined when the table or the nodes have changed on the way. */
async function attemptOnce(check: TableCheck): Promise<FoundRows | undefined> {
  const { services, signal } = check;
  const before = await services.newestCatalog({ signal });
  const table = referenceTable(before, check.table);
  if (table === undefined) return { differences: [], complete: true };
  const transaction = services.begin(snapshotModes);
  try {
    const copies = await Promise.all(copyHolders(before, table).map(async (holder): Promise<TableCopy> => {
      const sql = copySql(table, holder);
      const connection = await transaction.join(holder, 'read', { signal });
      await connection.query({ text: `${definitionSettings}; SET LOCAL lock_timeout = ${lockTimeoutMs}; LOCK TABLE ${sql} IN ACCESS SHARE MODE`, simple: true }, { signal });
      return [{ connection, sql }];
    }));
    await present(transaction.takeSnapshot?.bind(transaction))({ signal });
    const now = await services.newestCatalog({ signal });
    if (!isSame(referenceTable(now, table), table) || now.nodes.length !== before.nodes.length) return undefined;
    return await compare(check, table, { snapshot: before, copies });
  } finally {
    await transaction.rollback();
  }
}

function referenceTable(snapshot: CatalogSnapshot, { oid }: CatalogTable): ReferenceTable | undefined {
  const table = tableByOid(snapshot, oid);
  return table?.kind === 'reference' ? table : undefined;
}

function isSame(now: ReferenceTable | undefined, { schema, name, shardId, shellIsCopy, columns }: ReferenceTable): boolean {
  return now?.schema === schema && now.name === name && now.shardId === shardId && now.shellIsCopy === shellIsCopy && JSON.stringify(now.columns) === JSON.stringify(columns);
}

async function compare(check: TableCheck, table: ReferenceTable, { snapshot, copies }: { readonly snapshot: CatalogSnapshot; readonly copies: readonly TableCopy[] }): Promise<FoundRows> {
  const { schema, name } = table;
  const { differences, complete } = await compareCopies(copies, comparedRows(table), { ...check, onRead: ({ rows }) => check.read(rows) });
  for (const _ of copies) check.done();
  return {
    differences: differences.map(({ key, rows }) => ({
      kind: 'copies_differ', schema, table: name, key,
      copies: copyHolders(snapshot, table).map((holder, i) => ({ node: nodeName(check.services, holder), shard: copyName(table, holder), rows: at(rows, i) })),
    })),
    complete,
  };
}

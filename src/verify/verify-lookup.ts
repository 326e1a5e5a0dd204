import { at, present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { pauseAbout } from '../base/pause.ts';
import type { CatalogSnapshot, DistributedTable } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import { tableByOid } from '../catalog/table-by-oid.ts';
import { leavesOf, type UniqueLookup } from '../catalog/unique-lookup.ts';
import { definitionSettings } from '../ddl/definition-settings.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import { compareCopies, type TableCopy } from './compare-copies.ts';
import { type FoundRows, snapshotModes, type TableCheck } from './verify-context.ts';
import { placedShards } from './verify-shard.ts';

const lockTimeoutMs = 500;
const pauseMs = 200;
const attemptsMax = 60;

/**
 * Compares the keys of a unique lookup with those of its table's rows, and the distribution values that they lead to, at one moment: in a transaction whose snapshots on all nodes show each write wholly or not at all. Shards are locked
 * first, in the mode in which everybody reads, so that none of them is moved meanwhile.
 */
export async function verifyLookup(check: TableCheck, { id }: UniqueLookup): Promise<FoundRows> {
  for (let attempt = 1; ; attempt += 1) {
    const found = await attemptOnce(check, id).catch((error: unknown) => {
      if (attempt === attemptsMax || !isPassing(error)) throw error;
    });
    if (found !== undefined) return found;
    if (attempt === attemptsMax) throw new ClusterError('lockNotAvailable', `table "${check.table.name}" changes too often for its lookups to be verified`);
    await pauseAbout(pauseMs, check.signal);
  }
}

/** lock_not_available, deadlock_detected; undefined_table: renamed just now. */
function isPassing(error: unknown): boolean {
  return ['55P03', '40P01', '42P01'].includes(sqlStateOf(error) ?? '');
}

interface Pair {
  readonly lookup: UniqueLookup;
  readonly table: DistributedTable;
  readonly keys: DistributedTable;
}

/** Undefined when shards have gone elsewhere on the way. */
async function attemptOnce(check: TableCheck, id: number): Promise<FoundRows | undefined> {
  const { services, signal } = check;
  const before = await services.newestCatalog({ signal });
  const pair = pairOf(before, id);
  if (pair === undefined) return { differences: [], complete: true };
  const transaction = services.begin(snapshotModes);
  try {
    const copies = await openCopies(transaction, pair, { snapshot: before, signal });
    await present(transaction.takeSnapshot?.bind(transaction))({ signal });
    const now = await services.newestCatalog({ signal });
    if (now.version !== before.version) return undefined;
    return await compare(check, pair, copies);
  } finally {
    await transaction.rollback();
  }
}

/** A lookup that is still built has not all keys. */
function pairOf(snapshot: CatalogSnapshot, id: number): Pair | undefined {
  const lookup = snapshot.lookups.find((one) => one.id === id);
  const [table, keys] = [lookup?.table, lookup?.lookupTable].map((oid) => (oid === undefined ? undefined : tableByOid(snapshot, oid)));
  return lookup?.valid === true && table?.kind === 'distributed' && keys?.kind === 'distributed' ? { lookup, table, keys } : undefined;
}

interface Opening {
  readonly snapshot: CatalogSnapshot;
  readonly signal: AbortSignal | undefined;
}

/** The shards of the table, or of its partitions, which have its rows, and those of the lookup. */
async function openCopies(transaction: DistributedTransaction, { lookup, keys }: Pair, { snapshot, signal }: Opening): Promise<TableCopy[]> {
  const isKey = lookup.columns.map((column) => `t.${quoteIdentifier(column)} IS NOT NULL`).join(' AND ');
  const parts = [leavesOf(snapshot, lookup), [keys]].map((tables) => tables.flatMap((own) => placedShards(snapshot, own).map(({ name, group: { node } }) => ({ node, sql: quoteQualified(own.schema, name), where: isKey }))));
  const nodes = new Map<NodeId, string[]>();
  for (const { node, sql } of parts.flat()) nodes.set(node, [...(nodes.get(node) ?? []), sql]);
  const connections = new Map(await Promise.all([...nodes].map(async ([node, tables]) => {
    const connection = await transaction.join(node, 'read', { signal });
    await connection.query({ text: `${definitionSettings}; SET LOCAL lock_timeout = ${lockTimeoutMs}; LOCK TABLE ${tables.join(', ')} IN ACCESS SHARE MODE`, simple: true }, { signal });
    return [node, connection] as const;
  })));
  return parts.map((copy) => copy.map(({ node, ...part }) => ({ ...part, connection: present(connections.get(node)) })));
}

async function compare(check: TableCheck, { lookup, table, keys }: Pair, copies: readonly TableCopy[]): Promise<FoundRows> {
  const { differencesMax, signal } = check;
  const columns = keys.columns.map(({ name, type }) => ({ name, type: type.sql }));
  const { differences, complete } = await compareCopies(copies, { columns, key: lookup.columns }, { differencesMax, signal });
  const { schema, name } = table;
  return { differences: differences.map(({ key, rows }) => ({ kind: 'lookup_differs', schema, table: name, lookup: lookup.name, key, inTable: at(rows, 0), inLookup: at(rows, 1) })), complete };
}

import { at, present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { CallOptions, NodeConnection, RawRow } from '../../cluster/node-connection.ts';
import type { LookupKey } from '../../execute/lookups/lookup-change.ts';
import { keyArrays, keyRows, lookupShard, type LookupShard, placeKeys } from '../../execute/lookups/lookup-shards.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import type { FillSource } from './fill-lookup.ts';

/** A row as a snapshot has seen it. */
export interface FilledRow {
  /** Its ctid. */
  readonly place: string;
  readonly key: LookupKey;
}

export interface FillBatch {
  readonly source: FillSource;
  readonly rows: readonly FilledRow[];
  /** SQL for whether a row has a key. */
  readonly isKey: string;
}

/** A role that row security hides rows from is refused, rather than that these are left out: in a transaction. */
export const allRowsSql = 'SET LOCAL row_security = off';

/** How long rows that others have written are waited for. */
const rowLockTimeoutMs = 5_000;

/**
 * Brings rows in that are still there, and locks them until the transaction ends. `duplicateKeys`; 55P03 where somebody waits for a lock on the shard that lets no rows be locked, as TRUNCATE does: it waits for whoever reads the
 * shard, and no server knows that this one waits for the batch.
 */
export async function fillBatch(transaction: DistributedTransaction, batch: FillBatch, options: CallOptions): Promise<void> {
  const { source } = batch;
  const connection = await transaction.join(source.node, 'write', options);
  await connection.query({ text: `${allRowsSql}; SET LOCAL lock_timeout = ${rowLockTimeoutMs}; LOCK TABLE ${source.whole} IN ROW SHARE MODE NOWAIT`, simple: true }, options);
  const found = await lockedKeys(connection, batch, options);
  const keys = [...new Map(found.map((key) => [JSON.stringify(key), key])).values()];
  if (keys.length < found.length) await refuseRepeated(connection, source, keys, options);
  const run = async (_node: typeof coordinatorNodeId, query: { readonly text: string; readonly values?: readonly unknown[] | undefined }) => (await transaction.join(coordinatorNodeId, 'read', options)).query(query, options);
  const ordinals = await placeKeys({ run }, { snapshot: source.snapshot, table: source.lookupTable }, keys);
  for (const ordinal of [...new Set(ordinals)].sort((a, b) => a - b)) {
    const own = keys.filter((_, i) => ordinals[i] === ordinal);
    const shard = lookupShard(source.snapshot, source.lookupTable, ordinal);
    const target = await transaction.join(shard.node, 'write', options);
    if (await putInto(target, shard, own, options)) continue;
    // Somebody has put them in, or put others in for the same key.
    await refuseOthers(target, { shard, source }, own, options);
    await refuseRepeated(connection, source, own, options);
  }
}

/** Where a row was when the snapshot saw it, or wherever it has gone since. What changed its key meanwhile has been noted. */
async function lockedKeys(connection: NodeConnection, { source, rows, isKey }: FillBatch, options: CallOptions): Promise<LookupKey[]> {
  const columns = namesOf(source).map((name) => `s.${name}::text`).join(', ');
  const { rows: still } = await connection.query({
    text: `SELECT s.ctid::text, ${columns} FROM ${source.sql} AS s WHERE s.ctid = ANY ($1::tid[]) AND ${isKey} FOR SHARE`, values: [rows.map(({ place }) => place)],
  }, options);
  const places = new Set(still.map(([place]) => place));
  const moved = rows.filter(({ place }) => !places.has(place)).map(({ key }) => key);
  const elsewhere = moved.length === 0 ? [] : (await connection.query(ofKeys(source, moved, { select: columns, behind: 'FOR SHARE OF s' }), options)).rows;
  return [...still.map(([, ...key]) => keyOf(key)), ...elsewhere.map(keyOf)];
}

function keyOf(row: RawRow): LookupKey {
  return row.map((value) => value ?? '');
}

function namesOf({ columns, table }: FillSource): string[] {
  return [...columns, present(table.distributionColumn).name].map(quoteIdentifier);
}

/** A query of the rows of a shard, with all its partitions, that have these keys. */
function ofKeys(source: FillSource, keys: readonly LookupKey[], { select, behind }: { readonly select: string; readonly behind: string }): { readonly text: string; readonly values: readonly unknown[] } {
  const shard = lookupShard(source.snapshot, source.lookupTable, 0);
  const row = namesOf(source).map((name) => `s.${name}`).join(', ');
  return { text: `SELECT ${select} FROM ${source.whole} AS s WHERE (${row}) IN (SELECT * FROM ${keyRows(shard)}) ${behind}`, values: keyArrays(shard, keys) };
}

/** False where not all of them could be. */
async function putInto(connection: NodeConnection, shard: LookupShard, keys: readonly LookupKey[], options: CallOptions): Promise<boolean> {
  const { rowCount } = await connection.query({ text: `INSERT INTO ${shard.sql} (${shard.columns.join(', ')}) SELECT * FROM ${keyRows(shard)} ON CONFLICT DO NOTHING`, values: keyArrays(shard, keys) }, options);
  return rowCount === keys.length;
}

/** `duplicateKeys` where one of the keys has come from a row with another distribution value. */
async function refuseOthers(connection: NodeConnection, { shard, source }: { readonly shard: LookupShard; readonly source: FillSource }, keys: readonly LookupKey[], options: CallOptions): Promise<void> {
  const columns = source.columns.map(quoteIdentifier);
  const distribution = at(shard.columns, columns.length);
  const { rows } = await connection.query({
    text: `SELECT ${columns.map((column) => `l.${column}::text`).join(', ')} FROM ${shard.sql} AS l JOIN ${keyRows(shard)}
      ON ${columns.map((column) => `l.${column} = k.${column}`).join(' AND ')} WHERE l.${distribution} <> k.${distribution} LIMIT ${shownMax}`,
    values: keyArrays(shard, keys),
  }, options);
  if (rows.length > 0) throw duplicates(source, rows);
}

/** The same where several rows of the shard have it. */
async function refuseRepeated(connection: NodeConnection, source: FillSource, keys: readonly LookupKey[], options: CallOptions): Promise<void> {
  const names = namesOf(source).map((name) => `s.${name}`);
  const select = names.slice(0, -1).map((name) => `${name}::text`).join(', ');
  const { rows } = await connection.query(ofKeys(source, keys, { select, behind: `GROUP BY ${names.join(', ')} HAVING count(*) > 1 LIMIT ${shownMax}` }), options);
  if (rows.length > 0) throw duplicates(source, rows);
}

const shownMax = 5;

function duplicates({ columns, table }: FillSource, rows: readonly RawRow[]): ClusterError {
  const detail = rows.map((row) => `Key (${columns.join(', ')})=(${row.join(', ')}) is duplicated.`).join(' ');
  return new ClusterError('duplicateKeys', `could not create a unique lookup of table "${table.name}"`, { detail, schema: table.schema, table: table.name });
}

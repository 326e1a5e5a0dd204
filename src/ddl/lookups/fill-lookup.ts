import { setTimeout as delay } from 'node:timers/promises';
import { throwIfAborted } from '../../base/abort.ts';
import { at, present } from '../../base/assert.ts';
import { ClusterError, sqlStateOf } from '../../base/errors.ts';
import type { CatalogSnapshot, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId, ShardId } from '../../catalog/ids.ts';
import { tableByOid } from '../../catalog/table-by-oid.ts';
import { leavesOf } from '../../catalog/unique-lookup.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { lookupTableOf } from '../../execute/lookups/lookup-shards.ts';
import { placerOf } from '../../plan/prune.ts';
import { shardSql } from '../../plan/shard-template.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { readSnapshot } from '../../store/load-snapshot.ts';
import { findLookup, noteFilled } from '../../store/unique-lookups.ts';
import { inTransaction } from '../../txn/in-transaction.ts';
import type { DdlContext } from '../ddl-context.ts';
import type { GrowingLookup } from './create-unique-lookup.ts';
import { allRowsSql, fillBatch, type FilledRow } from './fill-batch.ts';
import { withLockRetries } from './with-lock-retries.ts';

/** Rows that are brought in, and locked meanwhile, in one transaction. */
const batchRows = 2_000;
/** A shard that is not where it was said to be is looked for again: it may be in the middle of a move's commit, until recovery if its process dies there. One that others wait to lock is read anew, so that they get it; so is one with rows that stay locked. */
const passing: ReadonlySet<string> = new Set(['42P01', '55P03']);
const missingMax = 300;
const missingWaitMs = 300;

/** Brings in the rows of all shards that have not been. What is written meanwhile comes by itself. `duplicateKeys`, `unknownLookup` where it has been dropped. */
export async function fillLookup(context: DdlContext, lookup: GrowingLookup, { signal }: CallOptions): Promise<void> {
  for (let missing = 0; ;) {
    throwIfAborted(signal);
    const source = await nextSource(context, lookup, signal);
    if (source === undefined) return;
    try {
      await fillFrom(context, source, signal);
      await inTransaction(context.begin(), {}, async (transaction) => noteFilled({ coordinator: await transaction.join(coordinatorNodeId, 'write', { signal }), signal }, lookup.id, source.shard));
    } catch (error) {
      missing += 1;
      if (!passing.has(sqlStateOf(error) ?? '') || missing > missingMax) throw error;
      await delay(missingWaitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** A shard whose rows are to be brought in. */
export interface FillSource {
  readonly snapshot: CatalogSnapshot;
  readonly lookupTable: DistributedTable;
  /** What the lookup is of. */
  readonly table: DistributedTable;
  /** Names of the lookup's columns. */
  readonly columns: readonly string[];
  readonly shard: ShardId;
  readonly node: NodeId;
  readonly sql: string;
  /** The shard of `table`, of which `sql` is a partition; the same where there are none. */
  readonly whole: string;
}

/** By the newest catalog, partition by partition; undefined when there is none left. */
async function nextSource(context: DdlContext, lookup: GrowingLookup, signal: AbortSignal | undefined): Promise<FillSource | undefined> {
  const { snapshot, stored } = await inTransaction(context.begin(), {}, async (transaction) => {
    const coordinator = await transaction.join(coordinatorNodeId, 'read', { signal });
    return { snapshot: await readSnapshot(coordinator, { signal }), stored: await findLookup({ coordinator, signal }, lookup) };
  });
  const known = snapshot.lookups.find(({ id }) => id === lookup.id);
  const table = tableByOid(snapshot, lookup.table);
  if (stored === undefined || known === undefined || table?.kind !== 'distributed') throw new ClusterError('unknownLookup', `the unique lookup "${lookup.name}" was dropped while it was built`);
  const next = nextShard(leavesOf(snapshot, known), stored.filled);
  if (next === undefined) return undefined;
  const { leaf, ordinal } = next;
  return {
    snapshot, table, lookupTable: lookupTableOf(snapshot, known), columns: lookup.columns, shard: at(leaf.shardIds, ordinal),
    node: at(placerOf(table, snapshot).group.shardGroups, ordinal).node, sql: shardSql(leaf, ordinal), whole: shardSql(table, ordinal),
  };
}

function nextShard(leaves: readonly DistributedTable[], filled: ReadonlySet<ShardId>): { readonly leaf: DistributedTable; readonly ordinal: number } | undefined {
  for (const leaf of leaves) {
    const ordinal = leaf.shardIds.findIndex((id) => !filled.has(id));
    if (ordinal >= 0) return { leaf, ordinal };
  }
  return undefined;
}

/**
 * The cursor's rows are those of one moment, after which every change is noted by triggers. A batch takes from them what is still there, under locks that keep it there until it is in the lookup: so whoever deletes it afterwards finds it
 * in the lookup, and takes it out.
 */
async function fillFrom(context: DdlContext, source: FillSource, signal: AbortSignal | undefined): Promise<void> {
  const names = [...source.columns, present(source.table.distributionColumn).name].map(quoteIdentifier);
  await inTransaction(context.begin(), {}, async (reading) => {
    const connection = await reading.join(source.node, 'read', { signal });
    const isKey = source.columns.map((column) => `${quoteIdentifier(column)} IS NOT NULL`).join(' AND ');
    await connection.query({ text: allRowsSql, simple: true }, { signal });
    await connection.query({ text: `DECLARE shardwright_rows NO SCROLL CURSOR FOR SELECT ctid::text, ${names.map((name) => `${name}::text`).join(', ')} FROM ${source.sql} WHERE ${isKey}`, simple: true }, { signal });
    await checkPartition(connection, source, signal);
    for await (const rows of batchesOf(connection, signal)) {
      await withLockRetries(signal, () => inTransaction(context.begin(), {}, (transaction) => fillBatch(transaction, { source, rows, isKey }, { signal })), ['40P01', '40001']);
    }
  });
}

/** A partition that was detached before the cursor has locked it is looked for again; from here on it stays. `shardMissing`. */
async function checkPartition(connection: NodeConnection, { sql, whole }: FillSource, signal: AbortSignal | undefined): Promise<void> {
  if (sql === whole) return;
  const { rows } = await connection.query({ text: 'SELECT FROM pg_catalog.pg_partition_ancestors($1::pg_catalog.regclass) a WHERE a.relid = pg_catalog.to_regclass($2)', values: [sql, whole] }, { signal });
  if (rows.length === 0) throw new ClusterError('shardMissing', `${sql} is no partition of ${whole} any more`);
}

async function* batchesOf(connection: NodeConnection, signal: AbortSignal | undefined): AsyncGenerator<readonly FilledRow[]> {
  for (;;) {
    throwIfAborted(signal);
    const { rows } = await connection.query({ text: `FETCH ${batchRows} FROM shardwright_rows`, simple: true }, { signal });
    if (rows.length > 0) yield rows.map(([place, ...key]) => ({ place: place ?? '', key: key.map((value) => value ?? '') }));
    if (rows.length < batchRows) return;
  }
}

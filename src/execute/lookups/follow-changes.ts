import { at } from '../../base/assert.ts';
import { ClusterError, sqlStateOf } from '../../base/errors.ts';
import type { CatalogSnapshot } from '../../catalog/catalog-snapshot.ts';
import { tableByOid } from '../../catalog/table-by-oid.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import type { CallOptions, NodeQuery } from '../../cluster/node-connection.ts';
import { placerOf } from '../../plan/prune.ts';
import { shardSql } from '../../plan/shard-template.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { allSettledOrThrow, runBatches } from '../../txn/run-batches.ts';
import type { StatementScope } from '../statement-scope.ts';
import { changeOf, type KeyOwner, type LookupChange, type LookupKey, netChange, takeChangesSql, unnoted } from './lookup-change.ts';
import { keyArrays, keyRows, lookupShard, type LookupShard, lookupTableOf, placeKeys } from './lookup-shards.ts';

export interface Following {
  readonly snapshot: CatalogSnapshot;
  readonly transaction: DistributedTransaction;
  /** For values that only a server can hash. */
  readonly scope: Pick<StatementScope, 'run'>;
  /** Names of lookups that are written before others: a key that is taken in one of them is to be known first. */
  readonly first?: readonly string[] | undefined;
  /** Is told of the changes, once they are followed. */
  readonly note?: ((changes: readonly LookupChange[]) => void) | undefined;
}

/**
 * Writes to the lookup tables what a statement has changed on `nodes`, in its transaction. Keys that have gone are taken out before those that came are put in, so that values may be swapped within a statement. Errors: 23505 as a
 * unique constraint of the table gives it; `shardMissing` for a lookup that the catalog does not know; `unsupportedWrite` where the session runs no triggers.
 */
export async function followChanges(following: Following, nodes: Iterable<NodeId>, options: CallOptions): Promise<void> {
  const { snapshot, transaction, first = [], note } = following;
  const taken = await allSettledOrThrow([...nodes].filter((node) => node !== coordinatorNodeId).map(async (node) => {
    const connection = await transaction.join(node, 'write', options);
    return (await connection.query({ text: takeChangesSql(keyOwners(snapshot, node)) }, options)).rows.map(changeOf);
  }));
  const changes = taken.flat();
  if (changes.length === 0) return;
  const changed = new Set(changes.map(({ lookup }) => lookup));
  if (changed.has(unnoted)) throw withoutTriggers();
  const known = snapshot.lookups.filter(({ id }) => changed.has(id));
  if (known.length < changed.size) throw unknownLookup();
  const isFirst = ({ name }: UniqueLookup): boolean => first.includes(name);
  for (const lookup of [...known.filter(isFirst), ...known.filter((one) => !isFirst(one))]) {
    await writeKeys(following, { lookup, changes: changes.filter((change) => change.lookup === lookup.id) }, options);
  }
  note?.(changes);
}

/** Of each lookup whose table has a shard on the node. */
function keyOwners(snapshot: CatalogSnapshot, node: NodeId): Map<number, KeyOwner> {
  return new Map(snapshot.lookups.flatMap(({ id, table: oid, columns }): [number, KeyOwner][] => {
    const table = tableByOid(snapshot, oid);
    if (table?.kind !== 'distributed') return [];
    const ordinal = placerOf(table, snapshot).group.shardGroups.findIndex((group) => group.node === node);
    return ordinal < 0 ? [] : [[id, { shard: shardSql(table, ordinal), columns }]];
  }));
}

function withoutTriggers(): ClusterError {
  return new ClusterError('unsupportedWrite', 'a table with a unique lookup cannot be written while no triggers run', {
    detail: 'The setting session_replication_role is "replica", and triggers tell which keys a write has changed.', hint: 'RESET session_replication_role, or drop the lookup, cluster.dropUniqueLookup(), and make it again afterwards.',
  });
}

/** The process has an old catalog: outside of a transaction block it reads the new one, and tries again. */
function unknownLookup(): ClusterError {
  return new ClusterError('shardMissing', 'a table has got a unique lookup meanwhile', { hint: 'Try again.' });
}

export interface LookupChanges {
  readonly lookup: UniqueLookup;
  readonly changes: readonly Omit<LookupChange, 'lookup'>[];
}

/** Writes to one lookup table what has become of rows, in their transaction. 23505 as `followChanges`. */
export async function writeKeys({ snapshot, transaction, scope }: Pick<Following, 'snapshot' | 'transaction' | 'scope'>, { lookup, changes }: LookupChanges, options: CallOptions): Promise<void> {
  const table = lookupTableOf(snapshot, lookup);
  const { gone, came } = netChange(changes);
  const ordinals = await placeKeys(scope, { snapshot, table }, [...gone, ...came]);
  const shards = new Map<number, ShardChange>();
  for (const [i, key] of [...gone, ...came].entries()) {
    const ordinal = ordinals[i] ?? 0;
    const own = shards.get(ordinal) ?? { shard: lookupShard(snapshot, table, ordinal), gone: [], came: [] };
    shards.set(ordinal, own);
    (i < gone.length ? own.gone : own.came).push(key);
  }
  try {
    await changeShards(transaction, [...shards].sort(([a], [b]) => a - b).map(([, own]) => own), options);
  } catch (error) {
    throw asConstraint(error, { lookup, changes }, snapshot);
  }
}

interface ShardChange {
  readonly shard: LookupShard;
  readonly gone: LookupKey[];
  readonly came: LookupKey[];
}

/**
 * 1. Keys that have gone are deleted, and those that came inserted where none has gone. 2. A key that was not there is still being inserted: whoever has done that has committed on the row's node, and not yet on this one. To insert it waits for that, and then
 * it can be deleted. 3. Other keys are inserted: before 2., they would meet those that are on their way out.
 */
async function changeShards(transaction: DistributedTransaction, changes: readonly ShardChange[], options: CallOptions): Promise<void> {
  const leaving = changes.filter(({ gone }) => gone.length > 0);
  const first = changes.map((change) => ({ change, query: change.gone.length > 0 ? deleting(change) : inserting(change.shard, change.came) }));
  const counts = await onShards(transaction, first.map(({ change: { shard }, query }) => ({ shard, query })), options);
  const missed = first.flatMap(({ change }, i) => (change.gone.length > (counts[i] ?? 0) ? [change] : []));
  await onShards(transaction, missed.flatMap((change) => [waitingFor(change), deleting(change)].map((query) => ({ shard: change.shard, query }))), options);
  await onShards(transaction, leaving.flatMap(({ shard, came }) => (came.length > 0 ? [{ shard, query: inserting(shard, came) }] : [])), options);
}

interface ShardQuery {
  readonly shard: LookupShard;
  readonly query: NodeQuery;
}

/** All nodes side by side, the queries of a node in order. How many rows each has written. */
async function onShards(transaction: DistributedTransaction, work: readonly ShardQuery[], options: CallOptions): Promise<number[]> {
  const counts = work.map(() => 0);
  const nodes = [...new Set(work.map(({ shard }) => shard.node))];
  const places = nodes.map((node) => [...work.keys()].filter((i) => at(work, i).shard.node === node));
  const results = await runBatches(transaction, nodes.map((node, n) => ({ node, queries: at(places, n).map((i) => at(work, i).query) })), options);
  for (const [n, own] of places.entries()) for (const [k, i] of own.entries()) counts[i] = at(at(results, n), k).rowCount ?? 0;
  return counts;
}

function deleting({ shard, gone }: ShardChange): NodeQuery {
  const same = shard.columns.map((column) => `l.${column} = k.${column}`).join(' AND ');
  return { text: `DELETE FROM ${shard.sql} AS l USING ${keyRows(shard)} WHERE ${same}`, values: keyArrays(shard, gone) };
}

function waitingFor({ shard, gone }: ShardChange): NodeQuery {
  const { text, values } = inserting(shard, gone);
  return { text: `${text} ON CONFLICT DO NOTHING`, values };
}

function inserting(shard: LookupShard, keys: readonly LookupKey[]): NodeQuery {
  return { text: `INSERT INTO ${shard.sql} (${shard.columns.join(', ')}) SELECT * FROM ${keyRows(shard)}`, values: keyArrays(shard, keys) };
}

/** A key that is there already, in the words of a unique constraint of the table: without the key, where it is kept from the role. The error itself is changed and returned, so that it stays the driver's own. */
function asConstraint(error: unknown, { lookup: { name, table: oid }, changes }: LookupChanges, snapshot: CatalogSnapshot): unknown {
  const table = tableByOid(snapshot, oid);
  if (sqlStateOf(error) !== '23505' || !(error instanceof Error) || table === undefined) return error;
  error.message = error.message.replace(/"[^"]*(?:""[^"]*)*"$/, () => quoted(name));
  Object.assign(error, { schema: table.schema, table: table.name, constraint: name }, changes.some(({ secured }) => secured) ? { detail: undefined } : {});
  return error;
}

/** As messages have names: in quotes, whatever is in them. */
function quoted(name: string): string {
  return `"${name}"`;
}

import { present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CatalogSnapshot } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { tableByOid } from '../../catalog/table-by-oid.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import type { LookupKey } from '../../execute/lookups/lookup-change.ts';
import { writeKeys } from '../../execute/lookups/follow-changes.ts';
import { shardKeys } from '../../execute/lookups/shard-keys.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { underDefinitionSettings } from '../definition-settings.ts';

/** Shards, quoted and qualified, by their nodes. */
export type PlacedSql = ReadonlyMap<NodeId, readonly string[]>;

/** Shards all of whose rows leave a lookup, or come into it. */
export interface WholeShards {
  readonly lookup: UniqueLookup;
  readonly shards: PlacedSql;
  /** Whether others can have committed rows there: not where the transaction has made the shards itself. */
  readonly isShared: boolean;
}

interface Writing {
  readonly transaction: DistributedTransaction;
  readonly snapshot: CatalogSnapshot;
  readonly options: CallOptions;
}

/**
 * Takes the keys of all rows of some shards out of their lookup (`gone`), or brings them in (`came`), where that happens to the rows without a write of each: when a partition is dropped, truncated, attached or detached. The transaction has
 * locks on the shards that keep everybody from writing to them. A batch of keys is held at a time. Errors: `unsupportedDdl` where the transaction has one snapshot for all its statements, which may not show all rows; 42501 for a role that may not read them; 23505 for a key that is taken.
 */
export async function writeWholeShards({ transaction, snapshot, options }: Writing, { lookup, shards, isShared }: WholeShards, way: 'gone' | 'came'): Promise<void> {
  const distribution = tableByOid(snapshot, lookup.table);
  const columns = [...lookup.columns, present(distribution?.kind === 'distributed' ? distribution.distributionColumn?.name : undefined, 'distribution column')];
  const following = { snapshot, transaction, scope: { run: async (_node: typeof coordinatorNodeId, query: Parameters<NodeConnection['query']>[0]) => (await transaction.join(coordinatorNodeId, 'read', options)).query(query, options) } };
  const changeOf = (key: LookupKey) => ({ gone: way === 'gone' ? key : undefined, came: way === 'came' ? key : undefined, secured: false });
  for (const [node, own] of shards) {
    const connection = await transaction.join(node, 'write', options);
    await underDefinitionSettings(connection, options, async () => {
      if (isShared) await checkIsolation(connection, lookup, options);
      for await (const keys of shardKeys(connection, { shards: own, columns }, options)) await writeKeys(following, { lookup, changes: keys.map(changeOf) }, options);
    });
  }
}

async function checkIsolation(connection: NodeConnection, { name }: UniqueLookup, options: CallOptions): Promise<void> {
  const { rows } = await connection.query({ text: `SELECT pg_catalog.current_setting('transaction_isolation')` }, options);
  if (rows[0]?.[0] === 'read committed') return;
  throw new ClusterError('unsupportedDdl', `rows of many come into the unique lookup "${name}", or leave it, only in transactions that are READ COMMITTED`, {
    detail: 'A partition is attached, detached, dropped or truncated, and the transaction may not see all of its rows.', hint: 'Run the statement outside a transaction block, or begin the transaction with ISOLATION LEVEL READ COMMITTED.',
  });
}

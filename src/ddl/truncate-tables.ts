import { ClusterError } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { copyWrite } from '../catalog/reference-copies.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions, NodeQuery, RawRow } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import { allOrAbort } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import { placementsOf } from './propagate/definition-change.ts';

export interface LocalTable {
  readonly schema: string;
  readonly name: string;
}

export interface TruncateOptions extends CallOptions {
  readonly cascade?: boolean | undefined;
  /** Of local tables; those of others are drawn from sequences that are not restarted here. */
  readonly restartIdentity?: boolean | undefined;
}

/**
 * Empties distributed and reference tables on all their nodes, within the caller's transaction. Without `cascade`, a table that others
 * refer to is refused by the nodes, unless these are listed too. Reference tables: on every node, and before that in the coordinator database where their shells are copies, which
 * refuses it while local tables refer to them that are not among `locals`.
 */
export async function truncateTables(
  transaction: DistributedTransaction,
  target: { readonly snapshot: CatalogSnapshot; readonly tables: readonly CatalogTable[]; readonly locals?: readonly LocalTable[] },
  options: TruncateOptions = {},
): Promise<void> {
  await truncateHere(transaction, target, options);
  const shards = truncatedShards(target);
  if (shards.size === 0) throw new ClusterError('noNodes', 'the tables have no shards');
  const cascade = options.cascade === true ? ' CASCADE' : '';
  await allOrAbort(
    options.signal,
    [...shards].map(([node, list]) => async (signal) => {
      const connection = await transaction.join(node, 'write', { signal });
      const [, found] = await connection.batch([{ text: `TRUNCATE ${list.map(({ sql }) => sql).join(', ')}${cascade}` }, lookupsOfShards(list)], { signal });
      checkLookupsKnown(target.snapshot, list, present(found).rows);
    }),
  );
}

/** What has rows in the coordinator database. Shells without rows are emptied, too: a statement must name all tables that refer to others in it. */
async function truncateHere(transaction: DistributedTransaction, { tables, locals = [] }: { readonly tables: readonly CatalogTable[]; readonly locals?: readonly LocalTable[] }, { restartIdentity = false, signal }: TruncateOptions): Promise<void> {
  if (locals.length === 0 && !tables.some((table) => table.kind === 'reference' && table.shellIsCopy)) return;
  const coordinator = await transaction.join(coordinatorNodeId, 'write', { signal });
  const names = [...tables, ...locals].map(({ schema, name }) => quoteQualified(schema, name));
  await coordinator.query({ text: copyWrite(`TRUNCATE ${names.join(', ')}${restartIdentity ? ' RESTART IDENTITY' : ''}`, coordinatorNodeId), simple: true }, { signal });
}

interface TruncatedShard {
  readonly table: CatalogTable;
  /** Quoted and qualified. */
  readonly sql: string;
}

function truncatedShards({ snapshot, tables }: { readonly snapshot: CatalogSnapshot; readonly tables: readonly CatalogTable[] }): Map<NodeId, TruncatedShard[]> {
  const shards = new Map<NodeId, TruncatedShard[]>();
  for (const table of tables) {
    for (const { node, id } of placementsOf(snapshot, table)) shards.set(node, [...(shards.get(node) ?? []), { table, sql: quoteQualified(table.schema, shardName(table.name, id)) }]);
  }
  return shards;
}

/** By their triggers, now that nobody else can change those: each with its shard's place in the list. */
function lookupsOfShards(shards: readonly TruncatedShard[]): NodeQuery {
  return {
    text: `SELECT s.place, pg_catalog.split_part(pg_catalog.encode(g.tgargs, 'escape'), pg_catalog.chr(92) || '000', 1) FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[])) WITH ORDINALITY s (sql, place)
      JOIN pg_catalog.pg_trigger g ON g.tgrelid = pg_catalog.to_regclass(s.sql) AND g.tgfoid = pg_catalog.to_regproc('shardwright.note_lookup_change')`,
    values: [shards.map(({ sql }) => sql)],
  };
}

/** No trigger sees which keys go. So a process that has not heard of a lookup, or that a partition has come to one, must not empty its tables: `shardMissing`, and it reads the new catalog. */
function checkLookupsKnown({ lookups }: CatalogSnapshot, shards: readonly TruncatedShard[], rows: readonly RawRow[]): void {
  for (const [i, { table, sql }] of shards.entries()) {
    const known = new Set(lookups.filter(({ tables }) => tables.has(table.oid)).map(({ id }) => id));
    const found = new Set(rows.filter(([place]) => Number(place) === i + 1).map(([, id]) => Number(id)));
    if (known.size !== found.size || [...known].some((id) => !found.has(id))) throw new ClusterError('shardMissing', `the unique lookups of ${sql} are not those of the catalog`, { hint: 'Try again.' });
  }
}

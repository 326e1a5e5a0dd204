import { at } from '../../base/assert.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { LookupKey } from './lookup-change.ts';

const batchRows = 2_000;

/**
 * The keys of all rows of shards of one node, as its transaction sees them, up to 2 000 at once, in any order; of rows with a NULL in a key there is none. `columns` are the lookup's, then the distribution column. Within a transaction.
 */
export async function* shardKeys(connection: NodeConnection, { shards, columns }: { readonly shards: readonly string[]; readonly columns: readonly string[] }, options: CallOptions): AsyncGenerator<readonly LookupKey[]> {
  const names = columns.map(quoteIdentifier);
  const isKey = names.map((name) => `${name} IS NOT NULL`).join(' AND ');
  const rows = shards.map((shard) => `SELECT ${names.map((name) => `${name}::text`).join(', ')} FROM ${shard} WHERE ${isKey}`).join(' UNION ALL ');
  await connection.query({ text: `DECLARE shardwright_keys NO SCROLL CURSOR FOR ${rows}`, simple: true }, options);
  for (;;) {
    const { rows: batch } = await connection.query({ text: `FETCH ${batchRows} FROM shardwright_keys`, simple: true }, options);
    if (batch.length > 0) yield batch.map((row) => columns.map((_, i) => at(row, i) ?? ''));
    if (batch.length < batchRows) break;
  }
  await connection.query({ text: 'CLOSE shardwright_keys', simple: true }, options);
}

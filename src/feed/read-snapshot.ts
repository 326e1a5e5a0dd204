import type { NodeId } from '../catalog/ids.ts';
import { lsnText } from '../cluster/lsn.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { definitionSettings } from '../ddl/definition-settings.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { Change, InsertEvent } from './change.ts';
import { type ColumnTypes, typeOf } from './column-types.ts';
import type { FedTable, FeedTypes } from './feed-context.ts';
import type { PlacedShard } from './feed-slots.ts';
import { hashOfText, parserFor } from './logical-change.ts';

/** A node's rows as its slot's snapshot shows them. */
export interface SnapshotReader {
  readonly node: NodeId;
  readonly connection: NodeConnection;
  readonly shards: readonly PlacedShard[];
  /** Where the slot begins. */
  readonly start: bigint;
}

/**
 * Takes the snapshot over from the connection that made it, which may end then. The shards are locked as any query locks them, all at once, so that none is moved or dropped before it is read.
 */
export async function takeOverSnapshot(connection: NodeConnection, { snapshot, shards }: { readonly snapshot: string; readonly shards: readonly PlacedShard[] }, options: CallOptions): Promise<void> {
  const lock = shards.length === 0 ? '' : `; LOCK TABLE ONLY ${shards.map(({ sql }) => sql).join(', ONLY ')} IN ACCESS SHARE MODE`;
  const text = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${snapshot}'; ${definitionSettings};
    SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0${lock}`;
  await connection.query({ text, simple: true }, options);
}

interface SnapshotTables {
  readonly tables: ReadonlyMap<number, FedTable>;
  readonly columns: ReadonlyMap<number, ColumnTypes>;
  readonly types: FeedTypes;
}

/** All rows of a node, shard by shard; its transaction is over then. */
export async function* readSnapshot(reader: SnapshotReader, known: SnapshotTables, options: CallOptions): AsyncGenerator<Change> {
  for (const shard of reader.shards) {
    const table = known.tables.get(shard.table);
    if (table !== undefined) yield* readShard(reader, { shard, table }, known, options);
  }
  await reader.connection.query({ text: 'COMMIT' }, options);
}

interface ReadShard {
  readonly shard: PlacedShard;
  readonly table: FedTable;
}

async function* readShard({ node, connection, start }: SnapshotReader, { shard, table }: ReadShard, { columns, types }: SnapshotTables, options: CallOptions): AsyncGenerator<InsertEvent<Record<string, unknown>>> {
  const attributes = await readAttributes(connection, shard.sql, options);
  const shell = columns.get(shard.table);
  const stream = connection.stream({ text: `SELECT ${attributes.map(({ name }) => quoteIdentifier(name)).join(', ')} FROM ONLY ${shard.sql}` }, options);
  const parsers = (await stream.fields).map(({ name, dataTypeID }) => parserFor(typeOf({ name, type: dataTypeID }, shell), types));
  const place = attributes.findIndex(({ name }) => name === table.distribution?.column);
  const transaction = `${node}/${lsnText(start)}/${shard.sql}`;
  let count = 0;
  for await (const batch of stream) {
    for (const values of batch) {
      const entries = attributes.map(({ name, key }, i) => {
        const value = values[i];
        return [name, value === null || value === undefined ? null : parsers[i]?.(value), key] as const;
      });
      const text = place < 0 ? undefined : values[place];
      yield {
        kind: 'insert', id: `${transaction}/${count}`, schema: table.schema, table: table.name, cursor: undefined, transaction, endsTransaction: false, committedAt: undefined, node,
        hash: typeof text === 'string' ? hashOfText(text, table.distribution) : undefined,
        key: Object.fromEntries(entries.filter(([, , key]) => key)), row: Object.fromEntries(entries), snapshot: true,
      };
      count += 1;
    }
  }
}

/** The columns that the log has, and whether they are of the replica identity. */
const attributesQuery = `
SELECT a.attname, c.relreplident = 'f' OR coalesce(a.attnum = ANY (i.indkey::int2[]), false)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
WHERE c.oid = $1::text::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum`;

async function readAttributes(connection: NodeConnection, sql: string, options: CallOptions): Promise<{ readonly name: string; readonly key: boolean }[]> {
  const { rows } = await connection.query({ text: attributesQuery, values: [sql] }, options);
  return rows.map(([name, key]) => ({ name: name ?? '', key: key === 't' }));
}

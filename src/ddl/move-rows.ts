import { assert, at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { ColocationGroup } from '../catalog/catalog-snapshot.ts';
import type { DistributionType } from '../catalog/hash/distribution-type.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import { shardGroupFor } from '../catalog/shard-for-hash.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import { columnList } from './column-list.ts';
import { unescapeCopyText } from './copy-text.ts';
import type { DistributionColumn } from './check-distribution-column.ts';
import { wholeTable } from './shell.ts';
import { splitRows, type RowLocator } from './split-rows.ts';
import type { TableDefinition } from './table-definition.ts';

/** Of a catalog change, or of another transaction that writes to nodes. */
interface RowMove extends CallOptions {
  readonly transaction: Pick<DistributedTransaction, 'join'>;
  readonly coordinator: Pick<NodeConnection, 'copyOut'>;
}

export interface DistributionTarget {
  readonly table: TableDefinition;
  /** Undefined for a single-shard table. */
  readonly distribution: DistributionColumn | undefined;
  readonly group: Pick<ColocationGroup, 'hash' | 'shardGroups'>;
  /** In the order of the group's shard groups. */
  readonly shardIds: readonly ShardId[];
}

export interface DistributeRowsOptions {
  /** What `placedRows` selects, in COPY's text format; that of the shell where not given. */
  readonly rows?: AsyncIterable<Uint8Array> | undefined;
  /** Where the shards are while they are filled, if not in the table's schema. */
  readonly schema?: string | undefined;
  /** Which of the shards a row belongs to, by what `placedRows` put before it; as the group's hash says where not given. */
  readonly locate?: RowLocator | undefined;
  /** The shards were made or truncated by the same transaction, so their rows can be written as they will stay. */
  readonly freeze?: boolean | undefined;
}

/** All buffers of one move together, and one shard's part of them. */
const bufferBytes = 16 * 2 ** 20;
const partBytesMax = 512 * 2 ** 10;

/**
 * Copies rows to the shards, in one reading. Memory: 16 MiB, whatever the table's size. Returns the number of rows. `distributionValueMissing` for a NULL in the distribution column. The text format keeps every value, and unlike the binary one
 * does not depend on OIDs, which differ from server to server.
 */
export async function distributeRows(change: RowMove, target: DistributionTarget, options: DistributeRowsOptions = {}): Promise<number> {
  const { table, group } = target;
  const columns = columnList(table);
  const source = options.rows ?? change.coordinator.copyOut(`COPY (${placedRows(target, quoteQualified(table.schema, table.name))}) TO STDOUT`, change);
  const writer = new ShardWriter(change, target, { ...options, columns });
  const partBytes = Math.min(partBytesMax, Math.ceil(bufferBytes / group.shardGroups.length));
  const rows = await writer.drainAfter(() =>
    splitRows(source, { parts: group.shardGroups.length, locate: options.locate ?? locator(target), sink: (part, bytes) => writer.write(part, bytes), partBytes }),
  );
  assert(writer.rows === rows, `${rows} rows were read, but the shards took ${writer.rows}`);
  return rows;
}

/** Selects the rows of the table, or of something of its definition, each behind what tells its place. */
export function placedRows(target: DistributionTarget, relation: string): string {
  return `SELECT ${placeSql(target)}, ${columnList(target.table)} FROM ${wholeTable(relation, target.table)}`;
}

/** What the row's place is told by: the shard group's ordinal plus one as the server computes it, or the value itself. */
function placeSql({ distribution, group }: DistributionTarget): string {
  if (distribution === undefined) return '1';
  const column = quoteIdentifier(distribution.column.name);
  if (group.hash !== 'postgres') return column;
  const bounds = group.shardGroups.map(({ min }) => min).join(',');
  return `width_bucket(${distribution.type.hashSql(column)}::integer, '{${bounds}}'::integer[])`;
}

function locator(target: DistributionTarget): RowLocator {
  const { distribution, group } = target;
  if (distribution === undefined) return ordinalOf;
  const locate = group.hash === 'postgres' ? ordinalOf : (field: Buffer) => placeOfValue(field, distribution.type, group);
  return (field) => {
    if (isNull(field)) throw missingValue(target.table, distribution);
    return locate(field);
  };
}

/** In COPY's text format. */
export function isNull(field: Buffer): boolean {
  return field.length === 2 && field[0] === 0x5c && field[1] === 0x4e;
}

function ordinalOf(field: Buffer): number {
  let bucket = 0;
  for (const digit of field) bucket = bucket * 10 + digit - 0x30;
  return bucket - 1;
}

function placeOfValue(field: Buffer, type: DistributionType, group: DistributionTarget['group']): number {
  const text = unescapeCopyText(field);
  const hash = type.hashOf(text, group.hash, { timeZone: 'UTC' });
  assert(hash !== undefined, `no hash of ${type.name} "${text}"`);
  return shardGroupFor(group, hash).ordinal;
}

function missingValue(table: TableDefinition, { column: { name } }: DistributionColumn): ClusterError {
  return new ClusterError('distributionValueMissing', `null value in column "${name}" of relation "${table.name}" violates not-null constraint`, {
    detail: 'Every row of a distributed table is placed by this column.',
    hint: 'Delete the rows in which it is null, or give it a value.',
    schema: table.schema,
    table: table.name,
    column: name,
  });
}

/** COPYs batches into shards: one at a time per node, the nodes side by side, at most one batch waiting for each. */
class ShardWriter {
  rows = 0;
  readonly #last = new Map<NodeId, Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(
    readonly change: RowMove,
    readonly target: DistributionTarget,
    readonly how: Pick<DistributeRowsOptions, 'schema' | 'freeze'> & { readonly columns: string },
  ) {}

  async write(ordinal: number, bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const { node } = at(this.target.group.shardGroups, ordinal);
    await this.#last.get(node);
    this.#last.set(node, this.#copy(ordinal, node, bytes));
  }

  /** Runs `produce`, then waits for all batches; throws the first failure of either, when nothing runs any more. */
  async drainAfter<T>(produce: () => Promise<T>): Promise<T> {
    const produced = await produce().catch((error: unknown) => {
      this.#failure ??= { error };
    });
    await Promise.all(this.#last.values());
    if (this.#failure !== undefined) throw this.#failure.error;
    return present(produced ?? undefined);
  }

  /** Never rejects: the failure is kept for whoever waits. */
  async #copy(ordinal: number, node: NodeId, bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) return;
    try {
      const connection = await this.change.transaction.join(node, 'write', this.change);
      const taken = await this.#copyInto(connection, at(this.target.shardIds, ordinal), bytes);
      this.rows += taken;
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  async #copyInto(connection: NodeConnection, shard: ShardId, bytes: Buffer): Promise<number> {
    const { table } = this.target;
    const { schema = table.schema, columns, freeze = false } = this.how;
    const relation = quoteQualified(schema, shardName(table.name, shard));
    const sink = await connection.copyIn(`COPY ${relation} (${columns}) FROM STDIN${freeze ? ' (FREEZE)' : ''}`, { signal: this.change.signal });
    await sink.write(bytes);
    return sink.end();
  }
}

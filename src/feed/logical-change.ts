import { assert, present } from '../base/assert.ts';
import type { ShardId } from '../catalog/ids.ts';
import { shardId } from '../catalog/ids.ts';
import { lsnText } from '../cluster/lsn.ts';
import type { OldRow, RelationMessage, StreamedRow, StreamedValue } from '../replication/pgoutput/message.ts';
import type { FeedShard } from '../store/feeds.ts';
import type { Change } from './change.ts';
import { type ColumnTypes, typeOf } from './column-types.ts';
import type { FedTable, FeedTypes } from './feed-context.ts';
import type { MergedChange } from './merge-streams.ts';

type Row = Record<string, unknown>;

/** What is known of the tables of a feed. */
export interface FeedTables {
  readonly tables: ReadonlyMap<number, FedTable>;
  readonly shards: ReadonlyMap<ShardId, FeedShard>;
  /** Of the shells. */
  readonly columns: ReadonlyMap<number, ColumnTypes>;
  readonly types: FeedTypes;
}

/** The shard that a relation of the log is, by its name's end. */
export function shardOf({ name }: Pick<RelationMessage, 'name'>): ShardId {
  const [, id] = /_(\d+)$/.exec(name) ?? [];
  assert(id !== undefined, `changes of "${name}", which is no shard`);
  return shardId(Number(id));
}

/** How the rows of a relation are read. Made once for each message that tells of the relation. */
export interface RelationReader {
  readonly table: FedTable;
  readonly shard: FeedShard;
  readonly columns: readonly { readonly name: string; readonly key: boolean; readonly parse: (text: string) => unknown }[];
  readonly isFull: boolean;
  /** Place of the distribution column; -1 where there is none. */
  readonly distribution: number;
}

/** Undefined when the shard is not known yet. */
export function relationReader(relation: RelationMessage, { tables, shards, columns, types }: FeedTables): RelationReader | undefined {
  const shard = shards.get(shardOf(relation));
  if (shard === undefined) return undefined;
  const table = present(tables.get(shard.table), 'table of a shard');
  const shell = columns.get(shard.table);
  return {
    table, shard, isFull: relation.identity === 'f',
    columns: relation.columns.map((column) => ({ name: column.name, key: column.key, parse: parserFor(typeOf(column, shell), types) })),
    distribution: relation.columns.findIndex(({ name }) => name === table.distribution?.column),
  };
}

export function parserFor(type: number | undefined, types: FeedTypes): (text: string) => unknown {
  return type === undefined ? String : (types.getTypeParser(type, 'text') as (text: string) => unknown);
}

/** The event of a change, as the feed's reader gets it. */
export function logicalChange({ node, item, endsTransaction }: MergedChange, reader: RelationReader, cursor: string): Change {
  const { change, commit, committedAt, index } = item;
  const transaction = `${node}/${lsnText(commit)}`;
  const { table, shard } = reader;
  const common = {
    id: `${transaction}/${index}`, schema: table.schema, table: table.name, cursor, transaction, endsTransaction, committedAt: new Date(Number(committedAt / 1000n) + epochMs), node,
  };
  switch (change.kind) {
    case 'insert':
      return { kind: 'insert', ...common, ...located(change.row, reader), row: rowOf(change.row, reader), snapshot: false };
    case 'update': {
      const filled = reader.isFull && change.old !== undefined ? filledFrom(change.row, change.old.row) : change.row;
      const unchanged = reader.columns.flatMap(({ name }, i) => (filled[i] === undefined ? [name] : []));
      const { hash } = located(filled, reader);
      return { kind: 'update', ...common, hash, key: keyOf(change.old?.row ?? filled, reader), row: rowOf(filled, reader), unchanged, old: oldRow(change.old, reader) };
    }
    case 'delete':
      return { kind: 'delete', ...common, ...located(change.old.row, reader), old: oldRow(change.old, reader) };
    case 'truncate':
      return { kind: 'truncate', ...common, hashes: table.distribution === undefined || shard.min === undefined || shard.max === undefined ? undefined : { min: shard.min, max: shard.max } };
  }
}

/** 2000-01-01, where PostgreSQL's time begins. */
const epochMs = Date.UTC(2000, 0, 1);

function located(row: StreamedRow, reader: RelationReader): { readonly hash: number | undefined; readonly key: Row } {
  return { hash: hashOf(row, reader), key: keyOf(row, reader) };
}

function hashOf(row: StreamedRow, { table: { distribution }, distribution: place }: RelationReader): number | undefined {
  const value = place < 0 ? undefined : row[place];
  return typeof value === 'string' ? hashOfText(utf8(value), distribution) : undefined;
}

export function hashOfText(text: string, distribution: FedTable['distribution']): number | undefined {
  return distribution?.type.hashOf(text, distribution.hash, { timeZone: 'UTC' });
}

/** Large values that an update left as they were stand in the whole row before. */
function filledFrom(row: StreamedRow, old: StreamedRow): StreamedRow {
  return row.includes(undefined) ? row.map((value, i) => (value === undefined ? old[i] : value)) : row;
}

function oldRow(old: OldRow | undefined, reader: RelationReader): Row | undefined {
  return old?.kind === 'full' ? rowOf(old.row, reader) : undefined;
}

function keyOf(row: StreamedRow, { columns }: RelationReader): Row {
  return picked(row, columns, ({ key }) => key);
}

function rowOf(row: StreamedRow, { columns }: RelationReader): Row {
  return picked(row, columns, () => true);
}

type Columns = RelationReader['columns'];

function picked(row: StreamedRow, columns: Columns, isWanted: (column: Columns[number]) => boolean): Row {
  const result: Row = {};
  for (const [i, column] of columns.entries()) {
    const value = row[i];
    if (value !== undefined && isWanted(column)) define(result, column.name, valueOf(value, column.parse));
  }
  return result;
}

/** Also one that is called like something that all objects have. */
function define(row: Row, name: string, value: unknown): void {
  if (name === '__proto__') Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
  else row[name] = value;
}

function valueOf(value: Exclude<StreamedValue, undefined>, parse: (text: string) => unknown): unknown {
  return value === null ? null : parse(utf8(value));
}

function utf8(latin1: string): string {
  // eslint-disable-next-line no-control-regex
  return /[^\x00-\x7f]/.test(latin1) ? Buffer.from(latin1, 'latin1').toString('utf8') : latin1;
}

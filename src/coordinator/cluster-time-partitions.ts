import type { Pool } from 'pg';
import { quoteLiteral } from '../sql/identifiers.ts';

/** A range of time, and how it is cut. Texts are times as PostgreSQL reads them. */
export interface TimePartitionRange {
  /** As PostgreSQL reads an interval: `1 month`, `7 days`. */
  readonly interval: string;
  /** The last partition ends then, or later. */
  readonly endAt: Date | string;
  /** Is in the first partition. Now, by default. */
  readonly startFrom?: Date | string | undefined;
}

/** A partition of a table that is partitioned by ranges of one column. Bounds are as PostgreSQL writes them; null without one (MINVALUE, MAXVALUE, DEFAULT). */
export interface TimePartition {
  readonly table: string;
  readonly column: string;
  readonly partition: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** A partition that there is not. */
export interface MissingTimePartition {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

type Asked = Pick<Pool, 'query'>;

/** Names the table by a constant: so it is known without the value what the statement is about. */
export async function createTimePartitions(cluster: Asked, table: string, range: TimePartitionRange): Promise<boolean> {
  const { rows } = await cluster.query<{ made: boolean }>(`SELECT create_time_partitions(${quoteLiteral(table)}, ${argumentsOf(range)}) AS made`, valuesOf(range));
  return rows[0]?.made === true;
}

export async function dropOldTimePartitions(cluster: Asked, table: string, olderThan: Date | string): Promise<void> {
  await cluster.query(`CALL drop_old_time_partitions(${quoteLiteral(table)}, $1)`, [timeOf(olderThan)]);
}

export async function missingTimePartitions(cluster: Asked, table: string, range: TimePartitionRange): Promise<MissingTimePartition[]> {
  const { rows } = await cluster.query<MissingTimePartition>(
    `SELECT partition_name AS name, range_from_value AS from, range_to_value AS to FROM get_missing_time_partition_ranges(${quoteLiteral(table)}, ${argumentsOf(range)})`, valuesOf(range));
  return rows;
}

export async function timePartitions(cluster: Asked, table: string): Promise<TimePartition[]> {
  const { rows } = await cluster.query<TimePartition>(
    `SELECT parent_table::text AS table, partition_column AS column, partition::text, from_value AS from, to_value AS to FROM time_partitions WHERE parent_table = ${quoteLiteral(table)}::regclass`);
  return rows;
}

function argumentsOf({ startFrom }: TimePartitionRange): string {
  return `$1::interval, $2::timestamptz${startFrom === undefined ? '' : ', $3::timestamptz'}`;
}

function valuesOf({ interval, endAt, startFrom }: TimePartitionRange): string[] {
  return [interval, timeOf(endAt), ...(startFrom === undefined ? [] : [timeOf(startFrom)])];
}

function timeOf(time: Date | string): string {
  return typeof time === 'string' ? time : time.toISOString();
}

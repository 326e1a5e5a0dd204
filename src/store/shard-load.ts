import type { ShardGroup } from '../catalog/catalog-snapshot.ts';
import { shardGroupId, type ShardGroupId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import { withSchema } from './install.ts';

type Coordinator = Pick<NodeConnections, 'query' | 'acquire'>;

/** What was asked of a shard group: statements, and rows read or written by them. */
export interface GroupLoad {
  readonly statements: number;
  readonly rows: number;
}

/** What counts now was half as much an hour ago: the load of yesterday moves nothing, that of a minute does not all by itself. */
export const halfLifeSeconds = 3_600;
/** Less than this is as good as nothing, and forgotten. */
const loadMin = 0.01;

/**
 * Counts, in this process, what is sent to each shard group. Counting is looking a number up and adding to it, since every statement does so; what was counted goes to the coordinator
 * database now and then, where that of all processes is added up. What a process has counted since is lost with it.
 */
export class ShardLoad {
  #counted = new Map<ShardGroupId, { statements: number; rows: number }>();

  /** One statement for one shard group. */
  note(group: ShardGroupId, rows: number): void {
    this.add(group, 1, rows);
  }

  /** One statement for each of some shard groups; which of the rows came from which is not known. */
  noteEach(groups: readonly ShardGroup[], ordinals: readonly number[], rows: number): void {
    for (const ordinal of ordinals) {
      const group = groups[ordinal];
      if (group !== undefined) this.note(group.id, rows / ordinals.length);
    }
  }

  add(group: ShardGroupId, statements: number, rows: number): void {
    const known = this.#counted.get(group);
    if (known === undefined) {
      this.#counted.set(group, { statements, rows });
      return;
    }
    known.statements += statements;
    known.rows += rows;
  }

  /** Adds what was counted to what is stored; asks no server when there is nothing. What cannot be stored is kept for the next time. */
  async store(coordinator: Coordinator, options?: CallOptions): Promise<void> {
    if (this.#counted.size === 0) return;
    const counted = this.#counted;
    this.#counted = new Map();
    try {
      await storeLoad(coordinator, counted, options);
    } catch (error) {
      for (const [group, { statements, rows }] of counted) this.add(group, statements, rows);
      throw error;
    }
  }
}

/** What a figure of the past is worth now, by the clock of the coordinator database. */
const worthNow = `0.5 ^ (greatest(extract(epoch FROM pg_catalog.clock_timestamp() - l.measured_at), 0) / ${halfLifeSeconds})`;

/** In order of id, so that two processes never wait for each other. Rows that another process is at are forgotten another time. */
async function storeLoad(coordinator: Coordinator, counted: ReadonlyMap<ShardGroupId, GroupLoad>, options?: CallOptions): Promise<void> {
  const text = `
    WITH forgotten AS (
      DELETE FROM shardwright.shard_load WHERE shard_group_id IN (
        SELECT shard_group_id FROM shardwright.shard_load l
        WHERE (statements + rows) * ${worthNow} < ${loadMin} AND NOT shard_group_id = ANY ($1::integer[]) FOR UPDATE SKIP LOCKED))
    INSERT INTO shardwright.shard_load AS l (shard_group_id, statements, rows, measured_at)
    SELECT c.id, c.statements, c.rows, pg_catalog.clock_timestamp()
    FROM unnest($1::integer[], $2::double precision[], $3::double precision[]) AS c (id, statements, rows) ORDER BY c.id
    ON CONFLICT (shard_group_id) DO UPDATE SET statements = l.statements * ${worthNow} + excluded.statements,
      rows = l.rows * ${worthNow} + excluded.rows, measured_at = excluded.measured_at`;
  const loads = [...counted.values()];
  const values = [[...counted.keys()], loads.map(({ statements }) => statements), loads.map(({ rows }) => rows)];
  await withSchema(coordinator, () => coordinator.query({ text, values }, options), options);
}

/** What is stored, as it counts now. A shard group of which nothing is known has no load. */
export async function readLoad(coordinator: Coordinator, options?: CallOptions): Promise<Map<ShardGroupId, GroupLoad>> {
  const text = `SELECT l.shard_group_id, l.statements * ${worthNow}, l.rows * ${worthNow} FROM shardwright.shard_load l`;
  const { rows } = await withSchema(coordinator, () => coordinator.query({ text }, options), options);
  return new Map(rows.map(([id, statements, count]) => [shardGroupId(Number(id)), { statements: Number(statements), rows: Number(count) }]));
}

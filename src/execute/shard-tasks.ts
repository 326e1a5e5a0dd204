import { at, present } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { PrunableUse } from '../plan/statement-plan.ts';
import type { Task } from '../plan/distributed-plan.ts';
import type { RenderedTexts } from '../plan/bind.ts';
import { renderUnited, type ShardTemplate } from '../plan/shard-template.ts';

/** The most shard queries that are fused into one statement. */
const fusedMax = 64;

/** One statement per shard group, in order of ordinals. */
export function shardTasks(texts: RenderedTexts, use: PrunableUse, input: TaskInput): Task[] {
  return input.ordinals.map((ordinal) => {
    const group = at(use.placer.group.shardGroups, ordinal);
    return { node: group.node, shardGroup: group.id, sql: texts.forOrdinal(ordinal), values: input.values, effect: 'read' };
  });
}

export interface TaskInput {
  readonly ordinals: readonly number[];
  readonly values: readonly unknown[];
}

/** How fused rows come: ORDER BY by positions, when the shard queries are sorted, and the first rows of that order only. */
export interface FusedOrder {
  readonly order: string | undefined;
  readonly rowsMax: number | undefined;
  /** More shard queries than this are split over up to `lanes` statements; undefined for no such number. */
  readonly tasksMax: number | undefined;
  readonly lanes: number;
}

/** One statement per node, or a few, that each unite some shard groups' rows; in order if the shard queries are. */
export function fusedTasks(tasks: readonly Task[], order: FusedOrder): Task[] {
  const fused: Task[] = [];
  for (const [node, own] of tasksByNode(tasks)) {
    const lanes = order.tasksMax === undefined ? 1 : Math.min(order.lanes, Math.ceil(own.length / order.tasksMax));
    const size = Math.min(fusedMax, Math.ceil(own.length / lanes));
    for (let i = 0; i < own.length; i += size) {
      const slice = own.slice(i, i + size);
      const first = present(slice[0]);
      const sql = slice.length === 1 ? first.sql : fusedSql(slice, order);
      fused.push({ node, shardGroup: slice.length === 1 ? first.shardGroup : undefined, sql, values: first.values, effect: 'read' });
    }
  }
  return fused;
}

export interface UnitedInput {
  readonly ordinals: readonly number[];
  /** The columns that the query needs. */
  readonly columns: readonly string[];
}

/** One statement per node that reads its shard groups as one. */
export function unitedTasks(query: ShardTemplate, use: PrunableUse, { ordinals, columns }: UnitedInput): Task[] {
  const byNode = new Map<NodeId, number[]>();
  for (const ordinal of ordinals) {
    const { node } = at(use.placer.group.shardGroups, ordinal);
    byNode.set(node, [...(byNode.get(node) ?? []), ordinal]);
  }
  return [...byNode].map(([node, own]) => ({ node, shardGroup: undefined, sql: renderUnited(query, own, columns), values: [], effect: 'read' }));
}

function fusedSql(tasks: readonly Task[], { order, rowsMax }: FusedOrder): string {
  const union = tasks.map(({ sql }) => `(${sql})`).join(' UNION ALL ');
  if (order === undefined) return union;
  return `${union} ORDER BY ${order}${rowsMax === undefined || !Number.isSafeInteger(rowsMax) ? '' : ` LIMIT ${rowsMax}`}`;
}

export function tasksByNode<T extends Task>(tasks: readonly T[]): Map<NodeId, T[]> {
  const byNode = new Map<NodeId, T[]>();
  for (const task of tasks) {
    const own = byNode.get(task.node);
    if (own === undefined) byNode.set(task.node, [task]);
    else own.push(task);
  }
  return byNode;
}


import { at } from '../base/assert.ts';
import type { NodeId, ShardGroupId } from '../catalog/ids.ts';

/** A shard group, and what it costs the node that it is on: 1 when shards are counted, else bytes or whatever is measured. */
export interface WeighedGroup {
  readonly id: ShardGroupId;
  readonly node: NodeId;
  readonly cost: number;
}

export interface WeighedNode {
  readonly id: NodeId;
  /** How much of all it is to have, as a proportion to the others': 0 for none. */
  readonly capacity: number;
}

export interface PlanInput {
  readonly groups: readonly WeighedGroup[];
  readonly nodes: readonly WeighedNode[];
  /** How far a node may be from its share, as a part of it: nothing is moved while all are nearer. */
  readonly threshold: number;
  readonly movesMax: number;
  /** Whether the group may be on the node. */
  readonly allowed: (group: ShardGroupId, node: NodeId) => boolean;
}

export interface PlannedMove {
  readonly group: ShardGroupId;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly cost: number;
}

/**
 * Moves, in order, after which no node has much more than its share. Greedy: of the fullest node the group whose move brings most, to the emptiest node that may have it; each move makes the sum of squares of the
 * nodes' utilisations smaller, so it ends, and never makes anything worse. Groups on nodes without capacity, or where they are not allowed, go first, however full the others are. Equal costs go by id, so equal inputs give equal plans.
 * Time: moves · groups · nodes. Of nothing, and where there is no node with a capacity, it makes nothing.
 */
export function planMoves(input: PlanInput): PlannedMove[] {
  const state = new Placing(input);
  const moves: PlannedMove[] = [];
  while (moves.length < input.movesMax) {
    const move = state.mustMove() ?? state.bestMove();
    if (move === undefined) break;
    state.make(move);
    moves.push(move);
  }
  return moves;
}

class Placing {
  readonly #places: Map<ShardGroupId, NodeId>;
  readonly #loads: Map<NodeId, number>;
  readonly #groups: readonly WeighedGroup[];
  readonly #nodes: readonly WeighedNode[];
  readonly #share: number;
  /** The largest cost. */
  readonly #unit: number;

  constructor(private readonly input: PlanInput) {
    // Larger ones first: what is placed last has to be small to fit.
    this.#groups = input.groups.toSorted((a, b) => b.cost - a.cost || a.id - b.id);
    // Costs and capacities are parts of the largest one, so that no sum and no square is more than a number can be.
    this.#unit = Math.max(...input.groups.map(({ cost }) => cost), 0) || 1;
    const capacityMax = Math.max(...input.nodes.map(({ capacity }) => capacity), 0);
    this.#nodes = input.nodes.map(({ id, capacity }) => ({ id, capacity: capacity / (capacityMax || 1) })).filter(({ capacity }) => capacity > 0);
    this.#places = new Map(input.groups.map(({ id, node }) => [id, node]));
    this.#loads = new Map(input.nodes.map(({ id }) => [id, this.#sumOf(id)]));
    const total = input.groups.reduce((sum, { cost }) => sum + cost / this.#unit, 0);
    this.#share = total / this.#nodes.reduce((sum, { capacity }) => sum + capacity, 0);
  }

  /** A group that may not stay where it is, to where it leaves the least utilisation. */
  mustMove(): PlannedMove | undefined {
    for (const { id, cost } of this.#groups) {
      const from = this.#placeOf(id);
      if (this.#isAllowed(id, from)) continue;
      const [to] = this.#nodes.filter((node) => node.id !== from && this.input.allowed(id, node.id))
        .toSorted((a, b) => this.#utilisation(a, cost) - this.#utilisation(b, cost) || a.id - b.id);
      if (to !== undefined) return { group: id, from, to: to.id, cost };
    }
    return undefined;
  }

  /** From the fullest node that is too far from its share, the group whose move makes the utilisations most alike. */
  bestMove(): PlannedMove | undefined {
    if (!this.#nodes.some((node) => Math.abs(this.#utilisation(node) - 1) > this.input.threshold)) return undefined;
    let best: { readonly move: PlannedMove; readonly gain: number } | undefined;
    for (const { id, cost } of this.#groups) {
      const place = this.#placeOf(id);
      const from = this.#nodes.find((node) => node.id === place);
      if (from === undefined || cost <= 0) continue;
      for (const to of this.#nodes) {
        if (to.id === place || !this.input.allowed(id, to.id)) continue;
        const gain = this.#gain(from, to, cost);
        if (gain > (best?.gain ?? 0)) best = { move: { group: id, from: place, to: to.id, cost }, gain };
      }
    }
    return best?.move;
  }

  make({ group, from, to }: PlannedMove): void {
    this.#places.set(group, to);
    for (const node of [from, to]) this.#loads.set(node, this.#sumOf(node));
  }

  /** Added up anew each time, from the largest down: what stays of a large cost that was taken off would be weighed like a small one. */
  #sumOf(node: NodeId): number {
    return this.#groups.reduce((sum, { id, cost }) => (this.#places.get(id) === node ? sum + cost / this.#unit : sum), 0);
  }

  /** By how much the sum of squares, weighed by capacity, becomes smaller; 0 when that is only the noise of floating point. */
  #gain(from: WeighedNode, to: WeighedNode, cost: number): number {
    const square = (node: WeighedNode, more: number): number => node.capacity * this.#utilisation(node, more) ** 2;
    const before = square(from, 0) + square(to, 0);
    const gain = before - square(from, -cost) - square(to, cost);
    return gain > before * noise ? gain : 0;
  }

  /** Of its share: 1 when it has just that. */
  #utilisation({ id, capacity }: WeighedNode, more = 0): number {
    return this.#share === 0 ? 1 : (this.#loadOf(id) + more / this.#unit) / (capacity * this.#share);
  }

  #isAllowed(group: ShardGroupId, node: NodeId): boolean {
    return this.#nodes.some(({ id }) => id === node) && this.input.allowed(group, node);
  }

  #placeOf(group: ShardGroupId): NodeId {
    return at([this.#places.get(group)].flatMap((node) => node ?? []), 0);
  }

  #loadOf(node: NodeId): number {
    return this.#loads.get(node) ?? 0;
  }
}

const noise = 1e-9;

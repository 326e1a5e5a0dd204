import { at } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import { assignedOrdinals } from './insert/assigned-ordinals.ts';
import type { UnknownHash } from './prune.ts';
import { pruneOrdinals } from './prune.ts';
import { renderTemplate, type ShardTemplate } from './shard-template.ts';
import type { PrunableUse, SelectPlan, StatementPlan } from './statement-plan.ts';

/** Where a statement's tables lie, once its parameters are known. */
export type Target =
  /** All on one node: the statement goes there whole. `ordinals[i]` is the shard of use `i`. */
  | { readonly kind: 'one'; readonly node: NodeId; readonly ordinals: readonly number[] }
  /** Only reference tables: any node will do. */
  | { readonly kind: 'any' }
  /** Shard groups of one colocation group, by ordinal. */
  | { readonly kind: 'many'; readonly ordinals: readonly number[] };

/** Where a query's rows lie; all shard groups where local tables have a part in it. */
export function targetOf({ routable, uses }: SelectPlan, values: readonly unknown[]): Target {
  return routable ? bindTarget(uses, values) : { kind: 'many', ordinals: [] };
}

/** Prunes all uses of distributed tables by the parameter values. Synchronous, no I/O. */
export function bindTarget(uses: readonly PrunableUse[], values: readonly unknown[]): Target {
  const first = uses[0];
  if (first === undefined) return { kind: 'any' };
  const unknown: UnknownHash[] = [];
  const pruned = uses.map((use) => (use.assigned === undefined ? pruneOrdinals(use.restrictions, use.placer, values, unknown) : assignedOrdinals(use, values)));
  const ordinals = singleOrdinals(pruned, uses);
  if (ordinals !== undefined) {
    const node = nodeOf(first, at(ordinals, 0));
    if (uses.every((use, i) => nodeOf(use, at(ordinals, i)) === node)) return { kind: 'one', node, ordinals };
  }
  return { kind: 'many', ordinals: union(pruned, first.placer.group.shardGroups.length) };
}

/** Whether, with these values, one node is sent the statement as it is, about one shard group or reference tables alone. */
export function isForOne(plan: StatementPlan, values: readonly unknown[]): boolean {
  switch (plan.kind) {
    case 'select':
      return targetOf(plan, values).kind !== 'many';
    case 'modify':
      return plan.routable && plan.everywhere === undefined && bindTarget(plan.uses, values).kind === 'one';
    case 'insert':
      return plan.verbatim && plan.placer !== undefined;
    default:
      return false;
  }
}

/** A shard group that a statement runs on. */
export interface ShardPlace {
  readonly node: NodeId;
  readonly ordinal: number;
}

/** The shard groups of a statement that each does for itself; at least one. */
export function placesOf(uses: readonly PrunableUse[], values: readonly unknown[]): ShardPlace[] {
  const { shardGroups } = at(uses, 0).placer.group;
  const target = bindTarget(uses, values);
  const ordinals = target.kind === 'many' ? target.ordinals : target.kind === 'one' ? [...new Set(target.ordinals)] : [0];
  return ordinals.map((ordinal) => ({ node: at(shardGroups, ordinal).node, ordinal }));
}

function nodeOf({ placer }: PrunableUse, ordinal: number): NodeId {
  return at(placer.group.shardGroups, ordinal).node;
}

/** Each use's only shard group. A use that no row can match (contradicting conditions) goes with another one. */
function singleOrdinals(pruned: readonly ('all' | readonly number[])[], uses: readonly PrunableUse[]): number[] | undefined {
  const fallback = pruned.find((ordinals) => ordinals !== 'all' && ordinals.length === 1);
  const spare = fallback === undefined || fallback === 'all' ? 0 : at(fallback, 0);
  const result: number[] = [];
  for (const [i, ordinals] of pruned.entries()) {
    if (ordinals === 'all' || ordinals.length > 1) return undefined;
    result.push(ordinals[0] ?? (spare < at(uses, i).placer.group.shardGroups.length ? spare : 0));
  }
  return result;
}

/** Groups that no use touches give no rows. One is always kept: an aggregate over nothing still has a row. */
function union(pruned: readonly ('all' | readonly number[])[], count: number): number[] {
  if (pruned.includes('all')) return Array.from({ length: count }, (_, i) => i);
  const ordinals = new Set(pruned.flatMap((set) => (set === 'all' ? [] : set)));
  return ordinals.size === 0 ? [0] : [...ordinals].sort((a, b) => a - b);
}

/** Statement texts by ordinal: rendering is done once per shard group and plan. */
export class RenderedTexts {
  readonly #texts: (string | undefined)[] = [];

  constructor(private readonly template: ShardTemplate) {}

  forOrdinal(ordinal: number): string {
    const known = this.#texts[ordinal];
    if (known !== undefined) return known;
    const text = renderTemplate(this.template, () => ordinal);
    this.#texts[ordinal] = text;
    return text;
  }

  forUses(ordinals: readonly number[]): string {
    const first = ordinals[0] ?? 0;
    if (ordinals.every((ordinal) => ordinal === first)) return this.forOrdinal(first);
    return renderTemplate(this.template, (use) => at(ordinals, use));
  }
}

/** The caller's values for a statement made of only a part of the caller's: exactly those that it uses. */
export function partialValues({ parameters }: ShardTemplate, values: readonly unknown[]): readonly unknown[] {
  return parameters.map((number) => values[number - 1]);
}

/** The caller's values for the whole statement. A wrong number of them is the server's to report. */
export function valuesFor({ parameters }: ShardTemplate, values: readonly unknown[]): readonly unknown[] {
  if (parameters.every((number, i) => number === i + 1)) return values;
  return parameters.map((number) => values[number - 1]);
}

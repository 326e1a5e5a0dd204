import type { NodeId } from '../../catalog/ids.ts';

/** In the order in which nodes come, and things of one node in theirs. */
export function byNode<T extends { readonly node: NodeId }>(things: readonly T[]): Map<NodeId, T[]> {
  const found = new Map<NodeId, T[]>();
  for (const thing of things) {
    const ours = found.get(thing.node);
    if (ours === undefined) found.set(thing.node, [thing]);
    else ours.push(thing);
  }
  return found;
}

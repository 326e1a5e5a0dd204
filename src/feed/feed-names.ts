import type { NodeId } from '../catalog/ids.ts';

/** Names of what a feed has on its nodes. A slot's is one of all databases of its server, of which several may be nodes. */
export function feedNames(clusterId: string, feed: string): { readonly publication: string; readonly slot: (node: NodeId) => string } {
  const own = `shardwright_feed_${clusterId.replaceAll('-', '').slice(0, 8)}_${feed}`;
  return { publication: own, slot: (node) => `${own}_${node}` };
}

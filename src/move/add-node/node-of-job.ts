import { at } from '../../base/assert.ts';
import type { ClusterNode } from '../../catalog/catalog-snapshot.ts';
import type { NodeAddress } from '../../store/catalog-changes.ts';
import type { StoredJob } from '../../store/jobs.ts';

/** The options of a job that adds a node, beside its limits. */
export interface NodeJobOptions {
  readonly node: NodeAddress;
}

/** The node that a job of kind `add_node` adds. */
export function nodeOfJob({ targets, options }: Pick<StoredJob, 'targets' | 'options'>): ClusterNode {
  const { node } = options as unknown as NodeJobOptions;
  return { ...node, id: at(targets, 0).node };
}

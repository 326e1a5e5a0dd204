import type { NodeId } from '../catalog/ids.ts';
import type { LogPosition } from './log-position.ts';

/** Where a statement that only reads may do so. */
export interface ReadRoute {
  /** `prefer-replica`: on the primary, where no replica is fit. */
  readonly from: 'prefer-replica' | 'replica';
  /** How old what a replica shows may be, and how many bytes of the log it may lack. */
  readonly maxLagMs: number | undefined;
  readonly maxLagBytes: number | undefined;
  /** What a replica must have applied of its node's log. */
  readonly after: ReadonlyMap<NodeId, LogPosition>;
  /** The version of the catalog that the reader must know, at least. */
  readonly catalogVersion: number;
  /** The server that was chosen for a node, by its name, or `primary`: all of one statement is read there. */
  readonly chosen: Map<NodeId, string>;
  /** Requests that were made, and those that replicas have got: they have changed nothing, whatever they called. */
  requests: number;
  onReplicas: number;
}

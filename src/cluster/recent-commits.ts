import type { NodeId } from '../catalog/ids.ts';
import { laterPosition, type LogPosition } from './log-position.ts';

/** A transaction over several nodes that was decided for commit here. */
export interface RecentCommit {
  readonly transactionId: string;
  /** Has the decision. */
  readonly decisionNode: NodeId;
  /** Of nodes with replicas: a place in the log behind the part that the node has of it, prepared or committed. */
  readonly parts: ReadonlyMap<NodeId, LogPosition>;
}

const commitsMax = 20_000;

/** What this process has committed lately on several nodes, to be compared with what a failover has kept. */
export class RecentCommits {
  /** In order of their decisions. */
  readonly #commits = new Map<string, RecentCommit & { readonly parts: Map<NodeId, LogPosition> }>();

  /** `onLeft`: to be called when a part of a transaction may be left prepared, with its locks, because a server could not be told the outcome, or asked for it. */
  constructor(readonly onLeft: () => void = () => undefined) {}

  /** The decision is made. Parts are added as they are learned. */
  note({ transactionId, decisionNode, parts }: RecentCommit): void {
    if (parts.size === 0) return;
    this.#commits.set(transactionId, { transactionId, decisionNode, parts: new Map(parts) });
    if (this.#commits.size <= commitsMax) return;
    for (const oldest of this.#commits.keys()) {
      this.#commits.delete(oldest);
      break;
    }
  }

  /** The node has its part there, too: on another server's timeline, perhaps. */
  isThere(transactionId: string, node: NodeId, position: LogPosition): void {
    const parts = this.#commits.get(transactionId)?.parts;
    if (parts?.has(node) === true) parts.set(node, laterPosition(parts.get(node), position));
  }

  /** The furthest place on a timeline that a commit is known to be before; undefined where none is known. */
  furthest(node: NodeId, timeline: number): bigint | undefined {
    let furthest: bigint | undefined;
    for (const { parts } of this.#commits.values()) {
      const position = parts.get(node);
      if (position?.timeline === timeline && (furthest === undefined || position.lsn > furthest)) furthest = position.lsn;
    }
    return furthest;
  }

  /** Those whose part on the node is on a timeline before this one, and behind its end. */
  behind(node: NodeId, { timeline, end }: { readonly timeline: number; readonly end: bigint }): RecentCommit[] {
    return [...this.#commits.values()].filter(({ parts }) => {
      const position = parts.get(node);
      return position !== undefined && position.timeline < timeline && position.lsn > end;
    });
  }
}

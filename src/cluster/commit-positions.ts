import type { NodeId } from '../catalog/ids.ts';
import { laterPosition, type LogPosition, positionQuery, readPosition } from './log-position.ts';
import type { NodeConnection, NodeQuery, RawResult } from './node-connection.ts';
import type { NodePools } from './node-pools.ts';

/** No server will ever say that it is there: who has to see what is behind it reads on the primary. */
const outOfReach: LogPosition = { timeline: 2 ** 31 - 1, lsn: 0n };

/** Collects where the commits of a statement or transaction are in the logs of nodes that have replicas, so that a reader of these can be made to see them. */
export class CommitPositions {
  readonly #found = new Map<NodeId, LogPosition>();
  readonly #missed = new Set<NodeId>();

  constructor(private readonly pools: Pick<NodePools, 'get'>) {}

  wants(node: NodeId): boolean {
    return this.pools.get(node).hasReplicas === true;
  }

  /** It will have committed on the node, and nobody knows when. */
  isLate(node: NodeId): void {
    if (this.wants(node)) this.#found.set(node, outOfReach);
  }

  /** It has committed on the node, and could not be asked behind that: so the node is asked at the end. */
  missed(node: NodeId): void {
    if (this.wants(node)) this.#missed.add(node);
  }

  /**
   * Asks behind what was sent to the node last, without waiting for that: no round trip of its own. An error is none of the commit's; the node is then asked again at the end. Resolves, always, when the answer is there.
   */
  async askBehind(node: NodeId, query: (query: NodeQuery) => Promise<RawResult>): Promise<void> {
    await query(positionQuery).then((answer) => this.#note(node, readPosition(answer)), () => this.missed(node));
  }

  /** The same when what was sent is done. */
  async askAfter(connection: Pick<NodeConnection, 'node' | 'query'>): Promise<void> {
    if (this.wants(connection.node)) await this.askBehind(connection.node, (query) => connection.query(query));
  }

  /** What was found so far; nothing that is late, or was missed. */
  get found(): ReadonlyMap<NodeId, LogPosition> {
    return new Map([...this.#found].filter(([, position]) => position !== outOfReach));
  }

  /** All that was found, when the work is done. */
  async complete(): Promise<ReadonlyMap<NodeId, LogPosition>> {
    await Promise.all([...this.#missed].map(async (node) => {
      this.#missed.delete(node);
      await this.pools.get(node).query(positionQuery).then((answer) => this.#note(node, readPosition(answer)), () => this.isLate(node));
    }));
    return this.#found;
  }

  #note(node: NodeId, position: LogPosition): void {
    this.#found.set(node, laterPosition(this.#found.get(node), position));
  }
}

/** Sends something that commits, at once, and the question behind it, where somebody wants to know. Settles when both have. */
export async function collecting<T>(committed: CommitPositions | undefined, over: Pick<NodeConnection, 'node' | 'query'>, commit: () => Promise<T>): Promise<T> {
  if (committed?.wants(over.node) !== true) return commit();
  const committing = commit();
  const asked = committed.askBehind(over.node, (query) => over.query(query));
  try {
    return await committing;
  } finally {
    await asked;
  }
}

import { present } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { Cut } from './cut.ts';
import type { FeedPosition } from './feed-cursor.ts';
import type { ChangeItem, ItemQueue } from './stream-item.ts';

export interface MergedChange {
  readonly node: NodeId;
  readonly item: ChangeItem;
  /** Where the feed is on that node with this change. */
  readonly position: FeedPosition;
  /** Whether it is the last one of its transaction. */
  readonly endsTransaction: boolean;
}

/**
 * The changes of several nodes as one stream: each node's in its order, transactions whole. A node whose stream comes to a cut-over by which it gets rows waits there until the streams of all nodes that the rows come from have come
 * to the same cut-over, so changes of one row come in the order in which they were made. No circle of waits can arise: cut-overs stand in all logs in the order of their decisions, since each is made only when
 * those before it have committed on its nodes.
 */
export class StreamMerge {
  readonly #queues = new Map<NodeId, ItemQueue>();
  /** Inside one of its transactions. */
  #current: ItemQueue | undefined;
  readonly #waiting = new Map<ItemQueue, Cut>();
  /** Nodes whose streams have come by a cut-over, by its job. */
  readonly #reached = new Map<string, Set<NodeId>>();
  /** Whose turn it was last. */
  #last: NodeId | undefined;

  /** `onCut` is told of each cut-over when all before it, on that node, was given. */
  constructor(
    private readonly feed: string,
    private readonly onCut: (cut: { readonly job: string; readonly node: NodeId; readonly commit: bigint }) => void,
  ) {}

  add(queue: ItemQueue): void {
    this.#queues.set(queue.node, queue);
  }

  /** Of a node that is not read any more. */
  remove(node: NodeId): void {
    const queue = this.#queues.get(node);
    if (queue === undefined) return;
    this.#queues.delete(node);
    this.#waiting.delete(queue);
    if (this.#current === queue) this.#current = undefined;
  }

  /** A cut-over that was come by before. */
  note(job: string, node: NodeId): void {
    this.#reached.set(job, (this.#reached.get(job) ?? new Set()).add(node));
  }

  /** Whether something of the node's has come that was not given, or a transaction of its own is under way. */
  isBusy(node: NodeId): boolean {
    const queue = this.#queues.get(node);
    return queue !== undefined && (queue === this.#current || queue.peek() !== undefined || this.#waiting.has(queue));
  }

  /** Undefined while nothing can be given: more has to come. */
  next(): MergedChange | undefined {
    for (;;) {
      const queue = (this.#current ??= this.#choose());
      const item = queue?.peek();
      if (queue === undefined || item === undefined) return undefined;
      switch (item.kind) {
        case 'change': {
          const behind = queue.peek(1);
          if (behind === undefined) return undefined;
          queue.take();
          const endsTransaction = behind.kind === 'commit';
          if (endsTransaction) this.#end(queue);
          const position = endsTransaction ? { lsn: behind.end, done: 0 } : { lsn: item.commit, done: item.index + 1 };
          return { node: queue.node, item, position, endsTransaction };
        }
        case 'cut':
          queue.take();
          this.#comeBy(queue, item);
          break;
        case 'commit':
          this.#end(queue);
      }
    }
  }

  #end(queue: ItemQueue): void {
    queue.take();
    this.#current = undefined;
  }

  #comeBy(queue: ItemQueue, { cut, commit }: { readonly cut: Cut; readonly commit: bigint }): void {
    if (!cut.feeds.includes(this.feed)) return;
    this.note(cut.job, queue.node);
    this.onCut({ job: cut.job, node: queue.node, commit });
    if (!cut.to.includes(queue.node) || this.#isOpen(cut)) return;
    this.#waiting.set(queue, cut);
    this.#current = undefined;
  }

  #isOpen({ job, from }: Cut): boolean {
    const reached = present(this.#reached.get(job));
    return from.every((node) => reached.has(node));
  }

  /** In turn, so that none is left behind. */
  #choose(): ItemQueue | undefined {
    const queues = [...this.#queues.values()].toSorted((a, b) => a.node - b.node);
    const first = queues.findIndex(({ node }) => node > (this.#last ?? -1));
    const inTurn = first <= 0 ? queues : [...queues.slice(first), ...queues.slice(0, first)];
    const chosen = inTurn.find((queue) => queue.peek() !== undefined && this.#isFree(queue));
    if (chosen !== undefined) this.#last = chosen.node;
    return chosen;
  }

  #isFree(queue: ItemQueue): boolean {
    const cut = this.#waiting.get(queue);
    if (cut === undefined) return true;
    if (!this.#isOpen(cut)) return false;
    this.#waiting.delete(queue);
    return true;
  }
}

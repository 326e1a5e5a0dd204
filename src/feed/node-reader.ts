import { setTimeout as delay } from 'node:timers/promises';
import { onAbort } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import type { ReplicationConnection } from '../cluster/replication-connection.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import { decodeMessage } from '../replication/pgoutput/decode-message.ts';
import type { RelationMessage, StreamMessage } from '../replication/pgoutput/message.ts';
import { timelineSince } from '../replication/timeline-end.ts';
import { cutPrefix, readCut } from './cut.ts';
import { comparePositions, type FeedPosition, isKept } from './feed-cursor.ts';
import { lostInFailover } from './lost-feed.ts';
import type { ItemQueue, RowMessage, StreamItem } from './stream-item.ts';

export interface ReadSlot {
  readonly node: NodeConnections;
  readonly slot: string;
  readonly publication: string;
  /** Changes before it are left out; cut-overs are not. */
  readonly from: FeedPosition;
  /** Where the slot is. */
  readonly confirmed: bigint;
}

interface ReaderEvents {
  /** Something has come, or the reader has failed. */
  readonly onArrival: () => void;
  /** Of changes and their transactions that wait; above, reading stops. */
  readonly waitingBytesMax: number;
  /** How long the server may be away. */
  readonly patienceMs: number;
}

const backOffMs = { first: 50, max: 2_000 } as const;
/** About what an item takes beside its values. */
const itemBytes = 200;

/** Reads a slot into a queue that never grows far beyond its limit, through losses of the connection: what was queued is left out when it comes again. */
export class NodeReader implements ItemQueue {
  readonly #items: StreamItem[] = [];
  /** Items that were taken stay in front for a while: taking one costs nothing then. */
  #first = 0;
  #bytes = 0;
  #isPaused = false;
  #stream: ReplicationConnection | undefined;
  /** All before it is queued, or was not for this feed. */
  #known: FeedPosition;
  /** The server has sent all that committed before. */
  #sent: bigint;
  #confirmed: bigint;
  /** On which all is that is known; undefined before the server was asked. */
  #timeline: number | undefined;
  readonly #relations = new Map<number, RelationMessage>();
  #transaction: { readonly commit: bigint; readonly committedAt: bigint; changes: number; isQueued: boolean } | undefined;
  #failure: { readonly error: unknown } | undefined;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    private readonly from: ReadSlot,
    private readonly events: ReaderEvents,
  ) {
    this.#known = from.from;
    this.#confirmed = from.confirmed;
    this.#sent = from.confirmed;
    this.#timeline = from.from.timeline;
    this.#running = this.#run().catch((error: unknown) => {
      if (this.#ending.signal.aborted) return;
      this.#failure = { error };
      events.onArrival();
    });
  }

  get node(): NodeId {
    return this.from.node.node;
  }

  /** Undefined while all is well. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  get timeline(): number | undefined {
    return this.#timeline;
  }

  peek(place: 0 | 1 = 0): StreamItem | undefined {
    return this.#items[this.#first + place];
  }

  take(): void {
    this.#bytes -= present(this.#items[this.#first]).bytes;
    this.#first += 1;
    if (this.#first === this.#items.length || this.#first > 1024) {
      this.#items.splice(0, this.#first);
      this.#first = 0;
    }
    if (this.#isPaused && this.#bytes <= this.events.waitingBytesMax / 2) {
      this.#isPaused = false;
      this.#stream?.resume();
    }
  }

  /** What has come by without anything for this feed in it, when nothing waits: the slot need not keep it. */
  get passed(): bigint | undefined {
    return this.#items.length === this.#first && this.#transaction === undefined ? this.#sent : undefined;
  }

  /** Lets the server forget what lies before. */
  confirm(lsn: bigint): void {
    if (lsn <= this.#confirmed) return;
    this.#confirmed = lsn;
    this.#stream?.confirm(lsn);
  }

  /** Never throws. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#stream?.end();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let failingSince: number | undefined;
    for (let waitMs: number = backOffMs.first; !signal.aborted; waitMs = Math.min(waitMs * 2, backOffMs.max)) {
      try {
        await this.#readUntilLost(() => {
          failingSince = undefined;
          waitMs = backOffMs.first;
        });
      } catch (error) {
        failingSince ??= performance.now();
        if (!isConnectionFailure(error) || performance.now() - failingSince > this.events.patienceMs) throw error;
      }
      await delay(waitMs, undefined, { signal });
    }
  }

  async #readUntilLost(onBegun: () => void): Promise<void> {
    const { node, slot, publication } = this.from;
    const { signal } = this.#ending;
    // A walsender of a process that is gone may not have noticed.
    await node.query({ text: 'SELECT pg_catalog.pg_terminate_backend(active_pid, 1000) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL', values: [slot] }, { signal });
    const stream = await node.replicate({ signal });
    try {
      this.#stream = stream;
      this.#transaction = undefined;
      await this.#followTimeline(stream);
      let lose: (error: unknown) => void = () => undefined;
      const lost = new Promise<never>((_, reject) => (lose = reject));
      lost.catch(() => undefined);
      // A stream that is ended says nothing any more.
      using _ending = onAbort(signal, () => lose(signal.reason));
      await stream.stream({ slot, publication, from: this.#confirmed }, {
        onMessage: (bytes) => this.#receive(bytes, lose),
        onKeepAlive: (lsn) => this.#keptAlive(lsn),
        onLost: lose,
      });
      onBegun();
      if (this.#isPaused) stream.pause();
      await lost;
    } finally {
      this.#stream = undefined;
      await stream.end();
    }
  }

  /** Another server was promoted: it must have all that came from the one before, or its log would go on otherwise than the receiver's copy. */
  async #followTimeline(stream: ReplicationConnection): Promise<void> {
    if (this.#timeline === undefined) {
      this.#timeline = await stream.timeline();
      return;
    }
    const since = await timelineSince(stream, this.#timeline);
    if (since === undefined) return;
    const { timeline, end } = since;
    if (end === undefined || !isKept(this.#known, end)) throw lostInFailover(this.from.node.name, { timeline, end, given: this.#known.lsn });
    // Of what was only passed by, the new server may have less.
    if (end < this.#sent) this.#sent = end;
    if (end < this.#confirmed) this.#confirmed = end;
    this.#timeline = timeline;
  }

  #receive(bytes: Buffer, fail: (error: unknown) => void): void {
    try {
      this.#note(decodeMessage(bytes), bytes.length + itemBytes);
    } catch (error) {
      fail(error);
    }
  }

  #keptAlive(lsn: bigint): void {
    if (lsn > this.#sent) this.#sent = lsn;
  }

  #note(message: StreamMessage, bytes: number): void {
    switch (message.kind) {
      case 'relation':
        this.#relations.set(message.relation, message);
        return;
      case 'begin':
        this.#transaction = { commit: message.commit, committedAt: message.committedAt, changes: 0, isQueued: false };
        return;
      case 'commit':
        return this.#noteCommit(message.end);
      case 'marker':
        if (message.prefix === cutPrefix) this.#queue({ kind: 'cut', cut: readCut(message.content), commit: present(this.#transaction).commit, bytes });
        return;
      case 'other':
        return;
      case 'truncate':
        for (const relation of message.relations) this.#noteChange({ kind: 'truncate', relation }, bytes);
        return;
      default:
        this.#noteChange(message, bytes);
    }
  }

  #noteChange(change: RowMessage, bytes: number): void {
    const { commit, committedAt, changes } = present(this.#transaction, 'transaction of a change');
    present(this.#transaction).changes += 1;
    if (comparePositions({ lsn: commit, done: changes }, this.#known) < 0) return;
    this.#known = { lsn: commit, done: changes + 1 };
    this.#queue({ kind: 'change', change, relation: present(this.#relations.get(change.relation), 'relation of a change'), commit, committedAt, index: changes, bytes });
  }

  #noteCommit(end: bigint): void {
    // Of one that came before, but for its end, the end alone is news.
    const isQueued = this.#transaction?.isQueued === true || this.#known.lsn === this.#transaction?.commit;
    this.#transaction = undefined;
    if (comparePositions(this.#known, { lsn: end, done: 0 }) < 0) this.#known = { lsn: end, done: 0 };
    if (isQueued) this.#queue({ kind: 'commit', end, bytes: itemBytes });
    if (end > this.#sent) this.#sent = end;
  }

  /** One item alone never stops the reading: whether it is the last of its transaction tells the one behind it. */
  #queue(item: StreamItem): void {
    if (this.#transaction !== undefined) this.#transaction.isQueued = true;
    this.#items.push(item);
    this.#bytes += item.bytes;
    if (this.#bytes > this.events.waitingBytesMax && this.#items.length - this.#first > 1 && !this.#isPaused) {
      this.#isPaused = true;
      this.#stream?.pause();
    }
    this.events.onArrival();
  }
}

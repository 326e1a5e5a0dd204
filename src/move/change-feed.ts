import { randomBytes } from 'node:crypto';
import { ClusterError } from '../base/errors.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import type { ReplicationConnection } from '../cluster/replication-connection.ts';
import { ChangeSink, markerPrefix, type SinkEvents, type SinkTarget } from './change-sink.ts';
import { decodeMessage } from '../replication/pgoutput/decode-message.ts';

export interface FeedSource {
  readonly source: NodeConnections;
  readonly slot: string;
  readonly publication: string;
  /** One for each node that takes rows. */
  readonly sinks: readonly SinkTarget[];
}

interface Marker {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Of the sinks. */
  left: number;
}

/**
 * Streams the changes of a slot to the nodes that take them, in the order in which their transactions committed. Each node goes at its own pace, and is as far as it says itself: a feed that
 * is started again begins where the last of them is, and the others leave out what they have.
 */
export class ChangeFeed {
  #failure: { readonly error: unknown } | undefined;
  #sinks: readonly ChangeSink[] = [];
  #isPaused = false;
  /** What the source has been told that it may forget. */
  #confirmed = 0n;
  readonly #markers = new Map<string, Marker>();
  readonly #token = randomBytes(6).toString('hex');
  #markersSent = 0;

  private constructor(
    private readonly from: FeedSource,
    private readonly stream: ReplicationConnection,
  ) {}

  /** Goes on where the targets are. */
  static async start(from: FeedSource, signal: AbortSignal): Promise<ChangeFeed> {
    const feed = new ChangeFeed(from, await from.source.replicate({ signal }));
    try {
      await feed.#begin(signal);
      return feed;
    } catch (error) {
      await feed.end();
      throw error;
    }
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const events: SinkEvents = {
      onMarker: (content) => this.#arrived(content),
      onProgress: () => this.#progressed(),
      onFailure: (error) => this.#fail(error),
    };
    for (const sink of this.from.sinks) this.#sinks = [...this.#sinks, await ChangeSink.open(sink, events, signal)];
    this.#confirmed = this.#passed;
    await this.stream.stream({ slot: this.from.slot, publication: this.from.publication, from: this.#confirmed }, {
      onMessage: (bytes) => this.#receive(bytes),
      onKeepAlive: (lsn) => this.#keptAlive(lsn),
      onLost: (error) => this.#fail(error),
    });
  }

  /** Undefined while all is well. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Rows changed so far by this feed. */
  get changesApplied(): number {
    return this.#sinks.reduce((sum, { changesApplied }) => sum + changesApplied, 0);
  }

  /**
   * Resolves when all is applied, everywhere, that has committed on the source before the call. A message of ours in the source's log tells: it is a transaction like any other, and its
   * commit flushes the log, which the stream waits for. Resolves to the milliseconds it took.
   */
  async drain(connection: Pick<NodeConnections, 'query'> = this.from.source): Promise<number> {
    const started = performance.now();
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#markersSent += 1;
    const content = `${this.#token} ${this.#markersSent}`;
    const arrived = new Promise<void>((resolve, reject) => this.#markers.set(content, { resolve, reject, left: this.#sinks.length }));
    arrived.catch(() => undefined);
    try {
      await connection.query({ text: 'SELECT pg_catalog.pg_logical_emit_message(true, $1, $2)', values: [markerPrefix, content] });
      await arrived;
    } finally {
      this.#markers.delete(content);
    }
    return performance.now() - started;
  }

  /** Stops applying; what is under way is finished or rolled back. Never throws. */
  async end(): Promise<void> {
    this.#fail(new ClusterError('canceled', 'the move has stopped'));
    await this.stream.end();
    await Promise.all(this.#sinks.map((sink) => sink.end()));
  }

  #receive(bytes: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      const message = decodeMessage(bytes);
      for (const sink of this.#sinks) sink.take(message, bytes.length);
      if (this.#isPaused || !this.#sinks.some(({ isFull }) => isFull)) return;
      this.#isPaused = true;
      this.stream.pause();
    } catch (error) {
      this.#fail(error);
    }
  }

  #arrived(content: string): void {
    const marker = this.#markers.get(content);
    if (marker === undefined) return;
    marker.left -= 1;
    if (marker.left === 0) marker.resolve();
  }

  #progressed(): void {
    if (this.#failure !== undefined) return;
    if (this.#isPaused && !this.#sinks.some(({ isFull }) => isFull)) {
      this.#isPaused = false;
      this.stream.resume();
    }
    const passed = this.#passed;
    if (passed > this.#confirmed) this.#confirm(passed);
  }

  /** All that has committed before has come, so nothing before it will be asked for again, if nothing waits. */
  #keptAlive(lsn: bigint): void {
    if (this.#sinks.every(({ isIdle }) => isIdle)) this.#confirm(lsn);
  }

  #confirm(lsn: bigint): void {
    this.#confirmed = lsn;
    this.stream.confirm(lsn);
  }

  /** By every sink. */
  get #passed(): bigint {
    return this.#sinks.map(({ passed }) => passed).reduce((least, one) => (one < least ? one : least));
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    for (const { reject } of this.#markers.values()) reject(error);
    for (const sink of this.#sinks) sink.interrupt();
  }
}

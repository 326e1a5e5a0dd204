import { canceled, onAbort } from '../../base/abort.ts';
import { at } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import { binaryPart } from './binary-parts.ts';
import type { CopyStatement } from './copy-statement.ts';
import { renderCopyOut } from './render-copy.ts';

/** A part of what COPY TO writes: a shard, or a query over one shard group. */
export interface CopyOutPart {
  readonly node: NodeId;
  /** What stands between COPY and TO: `"public"."orders_102008" ("id", "note")`, or a query in parentheses. */
  readonly source: string;
}

export interface ShardedCopyOut {
  readonly copy: CopyStatement;
  /** Written in this order. */
  readonly parts: readonly CopyOutPart[];
  /**
   * Runs a COPY TO STDOUT on a node, at once or at the first pull. A second one may be asked for while the first is read: on a
   * transaction's one connection it then waits for its turn.
   */
  readonly copyOut: (node: NodeId, sql: string, options: CallOptions) => AsyncIterable<Uint8Array>;
  /** Makes the error of a part's node speak of the table. */
  readonly translateError: (error: unknown, part: number) => unknown;
  readonly signal?: AbortSignal | undefined;
}

/**
 * COPY TO STDOUT over several shards, as one stream with one header and one trailer. The next two parts are started while one is read; of them no
 * more is held than their connections buffer. Order: parts, within a part as its server sends. Leaving the loop early, or aborting, cancels on
 * the servers and ends when their connections are free. Throws the nodes' errors and `canceled`.
 */
export async function* shardedCopyOut(options: ShardedCopyOut): AsyncGenerator<Uint8Array, void, undefined> {
  const { parts, signal } = options;
  const controller = new AbortController();
  using _abort = onAbort(signal, () => controller.abort(signal === undefined ? undefined : canceled(signal)));
  const open = new Set<StartedPart>();
  const start = (index: number): StartedPart | undefined => {
    if (index >= parts.length) return undefined;
    const part = new StartedPart(index, options, controller.signal);
    open.add(part);
    return part;
  };
  try {
    const started = parts.slice(0, partsAtOnce).map((_, index) => start(index));
    for (let part = started.shift(); part !== undefined; part = started.shift()) {
      yield* part.chunks();
      open.delete(part);
      started.push(start(part.index + partsAtOnce));
    }
  } finally {
    controller.abort();
    await Promise.all([...open].map((part) => part.leave()));
  }
}

/** So many servers are at work. What comes of the parts whose turn is later waits in the buffers of their connections. */
const partsAtOnce = 3;

/** A part whose server is at work: its first chunk is pulled already. */
class StartedPart {
  readonly #options: ShardedCopyOut;
  readonly #iterator: AsyncIterator<Uint8Array>;
  #first: Promise<IteratorResult<Uint8Array>> | undefined;

  constructor(
    readonly index: number,
    options: ShardedCopyOut,
    signal: AbortSignal,
  ) {
    const { copy, parts, copyOut } = options;
    const { node, source } = at(parts, index);
    this.#options = options;
    const first = index === 0;
    const chunks = copyOut(node, renderCopyOut(copy, source, first ? 'keep' : 'leave_out'), { signal });
    const part = copy.options.format === 'binary' ? binaryPart(chunks, { first, last: index === parts.length - 1 }) : chunks;
    this.#iterator = part[Symbol.asyncIterator]();
    this.#first = this.#iterator.next();
    // Its failure is seen when the part's turn comes, or not at all.
    this.#first.catch(() => undefined);
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const result = await this.#pull();
      if (result.done === true) return;
      yield result.value;
    }
  }

  /** Resolves when the part's server has stopped. Never rejects: why it stopped is known. */
  async leave(): Promise<void> {
    await Promise.allSettled([this.#first, this.#iterator.return?.()]);
  }

  async #pull(): Promise<IteratorResult<Uint8Array>> {
    try {
      const first = this.#first;
      this.#first = undefined;
      return await (first ?? this.#iterator.next());
    } catch (error) {
      throw this.#options.translateError(error, this.index);
    }
  }
}

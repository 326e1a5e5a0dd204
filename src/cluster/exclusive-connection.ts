import { runBatch } from './batch-statement.ts';
import { RawStatement, ParsedStatement } from './collect-statement.ts';
import { CopyInStatement } from './copy-in-statement.ts';
import { CopyOutStatement } from './copy-out-statement.ts';
import { runDescribe } from './describe-statement.ts';
import type { Link } from './link.ts';
import type {
  Admission,
  CallOptions, CopyOutOptions,
  CopySink,
  NodeConnection,
  NodeNotification,
  NodeQuery,
  ParsedQuery,
  RawResult,
  RawStream,
  StatementShape,
  StreamOptions,
} from './node-connection.ts';
import type { PulledSource } from './pulled-statement.ts';
import type { Statement } from './statement.ts';
import { StreamStatement } from './stream-statement.ts';
import { canceled, onAbort } from '../base/abort.ts';
import { assert, at } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { QueryResult } from 'pg';

export interface ReleaseOutcome {
  readonly error?: unknown;
  readonly dirty?: boolean;
}

/** A link in the hands of one user, until it is released. */
export class ExclusiveConnection implements NodeConnection {
  #released = false;
  #dirty = false;

  constructor(
    readonly node: NodeId,
    private readonly link: Link,
    private readonly takeBack: (link: Link, outcome: ReleaseOutcome) => void,
  ) {}

  get processId(): number {
    return this.link.processId;
  }

  get admission(): Admission | undefined {
    return this.link.settings.admission;
  }

  get transactionStatus(): 'idle' | 'open' | 'failed' {
    return this.link.transactionStatus;
  }

  async query(query: NodeQuery, options?: CallOptions): Promise<RawResult> {
    const results = await runRaw(this.#held(), query, options);
    return at(results, results.length - 1);
  }

  describe(text: string, types?: readonly number[]): Promise<StatementShape> {
    return runDescribe(this.#held(), text, types);
  }

  batch(queries: readonly NodeQuery[], options?: CallOptions): Promise<RawResult[]> {
    return runBatch(this.#held(), queries, options);
  }

  queryEach(text: string, options?: CallOptions): Promise<RawResult[]> {
    return runRaw(this.#held(), { text, simple: true }, options);
  }

  queryParsed(query: ParsedQuery, options?: CallOptions): Promise<QueryResult> {
    return runParsed(this.#held(), query, options);
  }

  stream(query: NodeQuery, options?: StreamOptions): RawStream {
    const statement = new StreamStatement(query, options, this.#source());
    this.#held().start(statement);
    return statement;
  }

  async copyIn(sql: string, options?: CallOptions): Promise<CopySink> {
    const link = this.#held();
    const statement = new CopyInStatement(sql, options, () => link.socket);
    link.start(statement);
    const { signal } = options ?? {};
    const giveUp = (): void => statement.giveUp('the call was aborted', signal === undefined ? undefined : canceled(signal));
    const listening = onAbort(signal, giveUp);
    void statement.over.then(() => listening[Symbol.dispose]());
    await statement.started;
    if (signal?.aborted === true) giveUp();
    return statement;
  }

  copyOut(sql: string, options?: CopyOutOptions): AsyncIterable<Uint8Array> {
    const statement = new CopyOutStatement(sql, options, this.#source());
    this.#held().start(statement);
    return statement;
  }

  onNotification(listener: ((notification: NodeNotification) => void) | undefined): void {
    this.#held().onNotification = listener;
  }

  interrupt(error: Error): void {
    if (!this.#released) this.link.interrupt(error);
  }

  markDirty(): void {
    this.#dirty = true;
    this.link.isolate();
  }

  release(outcome: ReleaseOutcome = {}): void {
    if (this.#released) return;
    this.link.onNotification = undefined;
    this.#released = true;
    this.takeBack(this.link, { ...outcome, dirty: this.#dirty || outcome.dirty === true });
  }

  #held(): Link {
    assert(!this.#released, 'a released connection is used');
    return this.link;
  }

  #source(): PulledSource {
    const { link } = this;
    return {
      pause: () => link.socket.pause(),
      resume: () => link.socket.resume(),
      abandon: (statement: Statement) => link.abandon(statement),
    };
  }
}

export function runRaw(link: Link, query: NodeQuery, options: CallOptions | undefined): Promise<RawResult[]> {
  return new Promise((resolve, reject) => {
    link.start(
      new RawStatement(query, options, (error, results) => {
        if (results === undefined) reject(error);
        else resolve(results);
      }),
    );
  });
}

/** For questions behind what commits on a link. */
export function committer(node: NodeId, link: Link): Pick<NodeConnection, 'node' | 'query'> {
  return { node, query: async (query) => at(await runRaw(link, query, undefined), 0) };
}

export function runParsed(link: Link, query: ParsedQuery, options: CallOptions | undefined): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    link.start(
      new ParsedStatement(query, options, (error, result) => {
        if (result === undefined) reject(error);
        else resolve(result);
      }),
    );
  });
}

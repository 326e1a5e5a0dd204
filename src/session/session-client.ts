import { EventEmitter } from 'node:events';
import { type CustomTypesConfig, escapeIdentifier, escapeLiteral, TypeOverrides } from 'pg';
import type { SessionServices } from './session-services.ts';
import { answer, type QueryCallback, readQueryCall } from './query-call.ts';
import { Session } from './session.ts';
import { adoptCursor, cursorIn } from './adopted-cursor.ts';
import type { ReadOptions } from './read-options.ts';
import { StatementNames } from './statement-names.ts';

/**
 * One session with the interface of pg.Client: what `cluster.connect()` gives. Its statements run in the order they are
 * issued. Connections to servers are taken when a statement needs them.
 */
export class SessionClient extends EventEmitter {
  /** What drivers and ORMs listen on for `parameterStatus`; sessions of a cluster have no one server to report it. */
  readonly connection = Object.assign(new EventEmitter(), { stream: { destroy: () => this.#connecting.abort() } });
  readonly #connecting = new AbortController();
  readonly #names = new StatementNames();
  readonly processID = 0;
  /** pg-pool reads these. */
  _queryable = true;
  _ending = false;
  release: ((error?: Error | boolean) => void) | undefined;
  readonly #services: SessionServices;
  readonly #session: Session;
  readonly #types: TypeOverrides;
  #tail: Promise<unknown> = Promise.resolve();
  /** Begun or waiting. */
  #unfinished = 0;

  constructor(services: SessionServices, config: { readonly types?: CustomTypesConfig | undefined } = {}) {
    super();
    this.#services = services;
    this.#types = new TypeOverrides(config.types);
    this.#session = new Session(services, {
      onNotice: (notice) => this.emit('notice', notice),
      onNotification: (notification) => this.emit('notification', { ...notification, name: 'notification' }),
    });
  }

  /** Makes sure that the coordinator database answers, unless its catalog is known already. */
  connect(callback?: (error: unknown, client?: SessionClient) => void): Promise<SessionClient> | undefined {
    return answer(this.#services.store.load({ signal: this.#connecting.signal }).then(() => this), callback);
  }

  query(...args: readonly unknown[]): unknown {
    const cursor = cursorIn(args[0]);
    if (cursor !== undefined) {
      const { text, values, _conf } = cursor;
      const adopted = adoptCursor(cursor, () => this.#session.stream({ rowMode: _conf?.rowMode, types: _conf?.types ?? this.#types, text, values: values ?? [] }));
      // A session that was ended meanwhile says so when the cursor is read.
      this.enqueue(() => adopted.turn()).catch(() => adopted.turn());
      return args[0];
    }
    let call;
    try {
      call = readQueryCall(args);
    } catch (error) {
      const callback = args.find((arg): arg is QueryCallback => typeof arg === 'function');
      return answer(Promise.reject(error), callback);
    }
    const { query, callback } = call;
    const result = this.enqueue(() => this.#names.run(query, () => this.#session.query({ ...query, types: query.types ?? this.#types })));
    return answer(result, callback);
  }

  /** Runs `work` when all earlier statements are done: at once, where that is so. */
  enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#unfinished === 0 ? this.#begin(work) : this.#tail.then(() => this.#begin(work));
    this.#unfinished += 1;
    this.#tail = result.then(this.#finished, this.#failed);
    return result;
  }

  #begin<T>(work: () => Promise<T>): Promise<T> {
    return this._ending ? Promise.reject(new Error('Client was closed and is not queryable')) : work();
  }

  readonly #finished = (): void => {
    this.#unfinished -= 1;
  };

  readonly #failed = (): void => {
    this.#session.letGo();
    this.#finished();
  };

  /** The session, for work that is not one query: streams and COPY. */
  get session(): Session {
    return this.#session;
  }

  /** Where it reads, until it is given back. */
  readBy(options: ReadOptions): void {
    this.#session.readBy(options);
  }

  /**
   * Stands for all that this client has written: a query that is given it as its `token` sees that. Undefined where nothing was written, or tokens are not collected: they are with `readTokens`, in `withReadYourWrites`, and for a client that reads on
   * replicas.
   */
  readToken(): string | undefined {
    return this.#session.readToken;
  }

  /** Begins a transaction with a consistent snapshot of all servers, after all earlier statements. */
  beginSnapshot(modes: string, signal: AbortSignal | undefined): Promise<void> {
    return this.enqueue(() => this.#session.beginSnapshot(modes, signal));
  }

  /** Rolls back what is open: nobody else may inherit it. */
  reset(): void {
    this.#session.forgetReads();
    if (this.#session.status !== 'idle') this.enqueue(() => this.#session.rollback()).catch(() => undefined);
  }

  end(callback?: () => void): Promise<void> | undefined {
    const ended = this.#tail.then(() => this.#session.end());
    this._ending = true;
    const done = ended.then(() => {
      this._queryable = false;
      this.emit('end');
    });
    return answer(done, callback === undefined ? undefined : () => callback());
  }

  setTypeParser(...args: Parameters<TypeOverrides['setTypeParser']>): void {
    this.#types.setTypeParser(...args);
  }

  getTypeParser(...args: Parameters<TypeOverrides['getTypeParser']>): unknown {
    return this.#types.getTypeParser(...args);
  }

  readonly escapeIdentifier = escapeIdentifier;
  readonly escapeLiteral = escapeLiteral;

  ref(): void {}
  unref(): void {}
}

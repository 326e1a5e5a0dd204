import type { CustomTypesConfig, QueryResult } from 'pg';
import type { NodeId } from '../catalog/ids.ts';
import type { CommitPositions } from './commit-positions.ts';
import type { ReadRoute } from './read-route.ts';
import type { ReplicationConnection } from './replication-connection.ts';

/** One row as the server sent it in text format; `null` is SQL NULL. */
export type RawRow = readonly (string | null)[];

/** As in pg's `FieldDef`. */
export interface FieldDescriptor {
  readonly name: string;
  readonly tableID: number;
  readonly columnID: number;
  readonly dataTypeID: number;
  readonly dataTypeSize: number;
  readonly dataTypeModifier: number;
  readonly format: string;
}

export interface RawResult {
  readonly fields: readonly FieldDescriptor[];
  readonly rows: RawRow[];
  /** First word of the command tag: `SELECT`, `INSERT`; empty for an empty statement. */
  readonly command: string;
  readonly rowCount: number | null;
}

/** What a server says of a statement without running it. */
export interface StatementShape {
  readonly parameterTypes: readonly number[];
  /** Empty for a statement that returns no rows. */
  readonly fields: readonly FieldDescriptor[];
}

/** One statement for one node. `name` makes it a prepared statement of the connection it runs on. */
export interface NodeQuery {
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
  readonly name?: string | undefined;
  /**
   * A text that may come again and again: the connection prepares it then, without a name of the caller's. It is the version of the catalog that the text was made by;
   * what was prepared under another is prepared anew. Not for a text that means something else at another time (`'today'`).
   */
  readonly repeats?: number | undefined;
  /** Text or a simple multi-statement string through the simple protocol; then there are no values. */
  readonly simple?: boolean | undefined;
  /**
   * It may wait for locks (a write, FOR UPDATE). Outside a transaction it then takes an exclusive connection, so that nothing
   * is queued on the wire behind the wait: what holds the lock might itself be waiting for that.
   */
  readonly mayWait?: boolean | undefined;
  /**
   * Outside a transaction it may share one with others of the kind, and be run a second time when that one fails. For one statement with values or
   * a name that has no effects beside its rows.
   */
  readonly groups?: boolean | undefined;
  /**
   * Called with the result as soon as the server has it, before what stands behind this statement in a batch is done, and also when that never ends. Not for
   * a simple text.
   */
  readonly answered?: ((result: RawResult) => void) | undefined;
  /** Fails with `ResultTooLong` when its rows have more bytes; the statement itself runs to its end. */
  readonly bytesMax?: number | undefined;
  /** How the server shall plan it, other than by its settings. Outside transaction blocks only. */
  readonly planning?: Planning | undefined;
  /** Of its columns: one for all, one for each, or none for text. Only for rows that nobody reads here (`RelayQuery`). */
  readonly resultFormats?: readonly ('text' | 'binary')[] | undefined;
}

/** A statement whose rows go on to somebody else as they came. */
export interface RelayQuery extends NodeQuery {
  readonly bytesMax: number;
}

/** The rows of a statement, and its tag, in the server's own messages. */
export interface RelayedResult {
  readonly rows: number;
  /** DataRow and CommandComplete messages, whole and in order. They lie in the memory that the socket was read into: to be used before they are kept. */
  readonly messages: readonly Buffer[];
}

/** Told of a statement's end: its error, or its value. */
export type Callback<T> = (error: unknown, value: T | undefined) => void;

/** `generic`: if it is prepared, by its generic plan, even where one made for its values looks cheaper. `serial`: without parallel workers; not for one that is prepared. */
export type Planning = 'generic' | 'serial';

/** A statement whose rows pg's own parsers turn into values. */
export interface ParsedQuery extends NodeQuery {
  readonly rowMode?: string | undefined;
  readonly types?: CustomTypesConfig | undefined;
}

/** A NOTICE, WARNING or the like, with the fields of an error. */
export interface NodeNotice {
  readonly message: string | undefined;
  readonly severity: string | undefined;
  readonly code: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly position?: string | undefined;
  readonly internalPosition?: string | undefined;
  readonly internalQuery?: string | undefined;
  readonly where?: string | undefined;
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly dataType?: string | undefined;
  readonly constraint?: string | undefined;
}

/** What NOTIFY sent. */
export interface NodeNotification {
  readonly channel: string;
  readonly payload: string;
  /** The server process that notified. */
  readonly processId: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called for each notice that the server sends while the statement runs. */
  readonly onNotice?: ((notice: NodeNotice) => void) | undefined;
  /** Nodes that the statement has come to, shared by all calls of one statement: where it is already it is not held up any more. */
  readonly entered?: Set<NodeId> | undefined;
  /** The statement only reads, and may do so elsewhere than on the primary. */
  readonly reads?: ReadRoute | undefined;
  /** Is told where its commits are in the logs of nodes. */
  readonly committed?: CommitPositions | undefined;
}

export interface StreamOptions extends CallOptions {
  /** Rows wanted per batch, a hint: 256 by default. */
  readonly batchRows?: number | undefined;
}

/** Rows in batches, pulled. Reading stops at the server (backpressure) when nobody pulls. */
export interface RawStream extends AsyncIterable<readonly RawRow[]> {
  /** Resolves when the server has described the rows, pulled or not; rejects with the statement's error. */
  readonly fields: Promise<readonly FieldDescriptor[]>;
}

export interface CopySink {
  /** Resolves when more may be written (backpressure); rejects with the server's error. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends the COPY; resolves to the number of rows the server took. */
  end(): Promise<number>;
  /** Makes the server drop the COPY; resolves when the connection is ready again. */
  fail(reason: string): Promise<void>;
}

/** How the catalog is changed in sessions of roles without rights to it; see store/admission.ts. */
export interface Admission {
  /** The connection's role has none, so each of its changes is admitted. */
  readonly isNeeded: boolean;
  readonly secret: () => Promise<string>;
}

export interface CopyOutOptions extends CallOptions {
  /** Called for each of the server's messages as it comes in: a row, and in binary form one more that is the end. May not throw. */
  readonly onMessage?: (() => void) | undefined;
}

/**
 * A connection held by one user. Statements issued without waiting are pipelined in order: each has its own Sync, so an error
 * poisons no neighbour outside a transaction block. Aborting a signal cancels on the server and resolves only when it is
 * certain that the cancel cannot hit a later statement.
 */
export interface NodeConnection {
  readonly node: NodeId;
  /** The server process, as pg_backend_pid() would say. */
  readonly processId: number;
  /** As the server last reported: idle, in a transaction block, or in a failed one. */
  readonly transactionStatus: 'idle' | 'open' | 'failed';
  /** Of connections to the coordinator database. */
  readonly admission?: Admission | undefined;
  /** Several statements in one simple text give the last one's result. */
  query(query: NodeQuery, options?: CallOptions): Promise<RawResult>;
  /** As `query`, but the result is pg's own, parsed by pg: the fastest way for a statement answered by one node. */
  queryParsed(query: ParsedQuery, options?: CallOptions): Promise<QueryResult>;
  /** As that of NodeConnections, but sees what the connection's transaction has made. */
  describe(text: string, types?: readonly number[]): Promise<StatementShape>;
  /**
   * Several statements sent as one: after an error the server skips the rest. Outside a transaction block they are a transaction of
   * their own. One result per query; rejects with the first error.
   */
  batch(queries: readonly NodeQuery[], options?: CallOptions): Promise<RawResult[]>;
  /** All statements of one simple text, in order. */
  queryEach(text: string, options?: CallOptions): Promise<RawResult[]>;
  /**
   * Leaving the loop early cancels the statement on the server; inside a transaction block, which a cancel would abort, the
   * remaining rows are read and dropped instead. Until the stream has ended no later statement of the connection is sent.
   */
  stream(query: NodeQuery, options?: StreamOptions): RawStream;
  copyIn(sql: string, options?: CallOptions): Promise<CopySink>;
  /** Chunks of about 64 KiB; in text and CSV format each ends at the end of a row. */
  copyOut(sql: string, options?: CopyOutOptions): AsyncIterable<Uint8Array>;
  /** Calls the listener for each notification on channels that this connection listens on, until it is released or told otherwise. */
  onNotification(listener: ((notification: NodeNotification) => void) | undefined): void;
  /** Makes the server stop the statement that it is at, which then fails with this error. Nothing happens when there is none. */
  interrupt(error: Error): void;
  /** Session state was changed: DISCARD ALL before another user gets the connection. */
  markDirty(): void;
  /**
   * Gives it back. With an error, or in any state but idle, it is closed instead of reused. Never throws.
   * `dirty`: session state was changed; it is discarded (DISCARD ALL) before the next use.
   */
  release(outcome?: { readonly error?: unknown; readonly dirty?: boolean }): void;
}

/** The connections to one server: a few shared pipelined ones, and a bounded pool of exclusive ones. */
export interface NodeConnections {
  readonly node: NodeId;
  /**
   * Runs one statement on a shared pipelined connection, outside any transaction. With a signal, which may have to cancel, it
   * takes an exclusive one; so does one that `mayWait`, and one that finds every shared connection held up by a slow statement.
   * A lost connection is never retried.
   */
  query(query: NodeQuery, options?: CallOptions): Promise<RawResult>;
  /** As `query`, but the result is pg's own, parsed by pg. */
  queryParsed(query: ParsedQuery, options?: CallOptions): Promise<QueryResult>;
  /**
   * As `query` on a shared connection, without a promise: `done` is called once, later. False, and nothing happens, where there is none that would take it at once. Not where a statement may
   * go to one of several servers.
   */
  relay?(query: RelayQuery, options: Pick<CallOptions, 'onNotice'>, done: Callback<RelayedResult>): boolean;
  /** Parse and Describe of one statement on a shared connection: its types, or the server's error. Nothing runs. `types`: OIDs of leading parameters, 0 for one to infer. */
  describe(text: string, types?: readonly number[]): Promise<StatementShape>;
  /** `host:port/database`, for messages. */
  readonly name: string;
  /** Takes an exclusive connection. `poolTimeout`, `nodeUnreachable` (within the connect timeout), `canceled`. */
  acquire(options?: CallOptions): Promise<NodeConnection>;
  /** Opens a connection in replication mode, beside the pools. The role needs the attribute REPLICATION. */
  replicate(options?: CallOptions): Promise<ReplicationConnection>;
  readonly counts: ConnectionCounts;
  /** Whether others than the primary may be read. */
  readonly hasReplicas?: boolean | undefined;
  /** Breaks all connections, as when the server had closed them: what runs fails. For a server that must not be used any more. */
  break(): void;
  /** Waits for running statements and held connections, then closes all. Later calls reject with `clusterClosed`. */
  end(): Promise<void>;
}

export interface ConnectionCounts {
  readonly open: number;
  readonly idle: number;
  readonly waiting: number;
}

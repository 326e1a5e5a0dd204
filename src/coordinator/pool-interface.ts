import type { WithReadToken } from '../session/own-writes.ts';
import type { ReadOptions } from '../session/read-options.ts';
import type { Pool, PoolClient, QueryArrayConfig, QueryArrayResult, QueryConfig, QueryConfigValues, QueryResult, QueryResultRow } from 'pg';

/** What a query config may have beyond pg's: aborting cancels on the servers. */
export interface SignalOption {
  readonly signal?: AbortSignal | undefined;
}

/** Of one query, beside what pg knows. */
type QueryOptions = SignalOption & ReadOptions;

interface QueryWithOptions {
  <R extends unknown[] = unknown[], I = unknown[]>(queryConfig: QueryArrayConfig<I> & QueryOptions, values?: QueryConfigValues<I>): Promise<QueryArrayResult<R> & WithReadToken>;
  <R extends QueryResultRow = QueryResultRow, I = unknown[]>(queryTextOrConfig: string | (QueryConfig<I> & QueryOptions), values?: QueryConfigValues<I>): Promise<QueryResult<R> & WithReadToken>;
  <R extends unknown[] = unknown[], I = unknown[]>(queryConfig: QueryArrayConfig<I> & QueryOptions, callback: (error: Error, result: QueryArrayResult<R>) => void): void;
  <R extends QueryResultRow = QueryResultRow, I = unknown[]>(queryConfig: QueryConfig<I> & QueryOptions, callback: (error: Error, result: QueryResult<R>) => void): void;
}

/** pg's `query` in all its shapes; configs may have a `signal`, and say where they read. Results of what has written may have a `readToken`. */
export type ClusterQuery = QueryWithOptions & Pool['query'];

/** What `connect()` gives: pg's pool client, whose `query` also takes a `signal`. */
export interface ClusterClient extends PoolClient {
  query: ClusterQuery;
  /** Stands for all that this client has written, for queries of others; undefined where nothing was, or tokens are not collected. */
  readToken(): string | undefined;
}

/** Of one client: where it reads, as long as nothing else is said by its settings or a query. */
export type ConnectOptions = SignalOption & ReadOptions;

export type ConnectCallback = (error: Error | undefined, client: ClusterClient | undefined, done: (release?: unknown) => void) => void;

/** Those methods of pg.Pool that a cluster has its own types for. */
export interface PoolMethods {
  connect(options?: ConnectOptions): Promise<ClusterClient>;
  connect(callback: ConnectCallback): void;
  end(): Promise<void>;
}

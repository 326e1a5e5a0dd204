import type { QueryResult } from 'pg';
import { ClusterError } from '../base/errors.ts';
import { checkReadOptions, type ReadOptions } from './read-options.ts';
import type { SessionQuery } from './session.ts';

export type QueryCallback = (error: unknown, result?: QueryResult | QueryResult[]) => void;

export interface QueryCall {
  readonly query: SessionQuery;
  readonly callback: QueryCallback | undefined;
}

interface ConfigLike {
  readonly text?: unknown;
  readonly values?: readonly unknown[];
  readonly name?: string;
  readonly rowMode?: string;
  readonly types?: SessionQuery['types'];
  readonly signal?: AbortSignal;
  readonly reads?: ReadOptions['reads'];
  readonly maxLagMs?: number;
  readonly maxLagBytes?: number;
  readonly token?: string;
  readonly callback?: QueryCallback;
  readonly submit?: unknown;
}

/** All of pg's shapes: (text), (text, values), (text, callback), (text, values, callback), (config), (config, values), (config, callback) … */
export function readQueryCall(args: readonly unknown[]): QueryCall {
  const [first, second, third] = args;
  const given = typeof second === 'function' ? second : third;
  const values = Array.isArray(second) ? second : undefined;
  if (typeof first === 'string') return { query: { text: first, values }, callback: asCallback(given) };
  if (typeof first !== 'object' || first === null) throw new TypeError('Client was passed a null or undefined query');
  const config: ConfigLike = first;
  if (typeof config.submit === 'function') {
    throw new ClusterError('unsupportedQuery', 'query objects such as cursors cannot be submitted to a cluster', {
      hint: 'Use cluster.stream(), copyFrom() or copyTo().',
    });
  }
  if (typeof config.text !== 'string') {
    throw new ClusterError('invalidParameter', 'A query must have either text or a name. Supplying neither is unsupported.');
  }
  const { name, rowMode, types, signal } = config;
  return {
    query: { text: config.text, values: values ?? config.values, name, rowMode, types, signal, reads: askedReads(config) },
    callback: asCallback(given ?? config.callback),
  };
}

/** Undefined where nothing is asked for. `invalidParameter`. */
export function askedReads({ reads, maxLagMs, maxLagBytes, token }: ReadOptions): ReadOptions | undefined {
  if (reads === undefined && maxLagMs === undefined && maxLagBytes === undefined && token === undefined) return undefined;
  const asked = { reads, maxLagMs, maxLagBytes, token };
  checkReadOptions(asked);
  return asked;
}

function asCallback(value: unknown): QueryCallback | undefined {
  return typeof value === 'function' ? (error, result) => value(error, result) : undefined;
}

/** Gives a promise's outcome to a callback, if there is one; an exception of the callback is nobody's but the process's. */
export function answer<T>(promise: Promise<T>, callback: ((error: unknown, result?: T) => void) | undefined): Promise<T> | undefined {
  if (callback === undefined) return promise;
  promise.then(
    (result) => process.nextTick(() => callback(null, result)),
    (error: unknown) => process.nextTick(() => callback(error)),
  );
  return undefined;
}

import type { ClientConfig } from 'pg';

/** How to reach one node, and the limits of the connections to it. */
export interface NodeSettings {
  /** `host:port/database`, for messages. */
  readonly name: string;
  /** As for pg.Client. `query_timeout` and `pipeline` are not honoured: abort a signal instead, and statements are always pipelined. */
  readonly client: ClientConfig;
  /** The coordinator database, which errors call so. */
  readonly isCoordinator?: boolean | undefined;
  /** Settings that each session begins with, as SET would take them. DateStyle, where given, begins with ISO. */
  readonly startup?: Readonly<Record<string, string>> | undefined;
  /** Connections of the bounded pool: transactions, streams, COPY, whatever may be cancelled or may wait for locks. */
  readonly exclusiveMax: number;
  /** Connections that statements share. */
  readonly sharedMax: number;
  /** Calls waiting for an exclusive connection, at most. */
  readonly queueMax: number;
  readonly connectTimeoutMs: number;
  /** An exclusive or shared connection unused for so long is closed. */
  readonly idleTimeoutMs: number;
  /** Longest wait for an exclusive connection. */
  readonly acquireTimeoutMs: number;
  /** Statements that each connection prepares because they are repeated, at most; 0 for none. */
  readonly repeatedMax: number;
  /** Connections to a server in recovery are refused, with `nodeUnreachable`: it is the primary that is meant. */
  readonly primaryOnly?: boolean | undefined;
  /** Called when a connection broke that nobody here has closed, or could not be made. Must not throw. */
  readonly onTrouble?: ((error: unknown) => void) | undefined;
}

export type NodeLimits = Omit<NodeSettings, 'name' | 'client' | 'isCoordinator' | 'startup' | 'primaryOnly' | 'onTrouble'>;

export const defaultNodeLimits: NodeLimits = {
  exclusiveMax: 10,
  sharedMax: 3,
  queueMax: 10_000,
  connectTimeoutMs: 5_000,
  idleTimeoutMs: 30_000,
  acquireTimeoutMs: 30_000,
  repeatedMax: 256,
};

/** The configuration of a node's clients. */
export function driverConfig({ client, connectTimeoutMs }: NodeSettings): ClientConfig {
  return {
    keepAlive: true,
    fallback_application_name: 'shardwright',
    ...client,
    connectionTimeoutMillis: connectTimeoutMs,
    pipeline: false,
  };
}

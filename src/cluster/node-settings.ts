import type { ClientConfig } from 'pg';
import type { Admission } from './node-connection.ts';
import { addressOf, configFor } from './connection-settings.ts';
import type { ScramKeys } from './scram-client.ts';

/** Who a connection logs in as, and by what. */
export interface NodeLogin {
  readonly user: string;
  readonly password?: string | undefined;
  /** What another has proved to know the password by. */
  readonly keys?: ScramKeys | undefined;
}

/** How to reach one node, and the limits of the connections to it. */
export interface NodeSettings {
  /** `host:port/database`, for messages. */
  readonly name: string;
  /** As for pg.Client. `query_timeout` and `pipeline` are not honoured: abort a signal instead, and statements are always pipelined. */
  readonly client: ClientConfig;
  /** In place of the user of `client`; asked for by each connection that is made. */
  readonly login?: (() => NodeLogin) | undefined;
  /** That of its connections. */
  readonly admission?: Admission | undefined;
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
  /** Called with the IP address that a connection was made to, where there is one. */
  readonly onConnected?: ((address: string) => void) | undefined;
}

export type NodeLimits = Omit<NodeSettings, 'name' | 'client' | 'login' | 'admission' | 'isCoordinator' | 'startup' | 'primaryOnly' | 'onTrouble' | 'onConnected'>;

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
export function driverConfig({ client, connectTimeoutMs }: NodeSettings, login: NodeLogin | undefined): ClientConfig {
  return {
    keepAlive: true,
    fallback_application_name: 'shardwright',
    ...(login === undefined ? client : loggingIn(client, login)),
    connectionTimeoutMillis: connectTimeoutMs,
    pipeline: false,
  };
}

/** The password of `client`, of a file or of the environment is not this user's. */
function loggingIn(client: ClientConfig, { user, password }: NodeLogin): ClientConfig {
  return { ...configFor(client, addressOf(client)), user, password: () => password ?? '' };
}

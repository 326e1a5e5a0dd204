/**
 * Where a node is: `host:port/database` as fields, or a connection string. A node of several servers, a primary and its replicas, has several hosts, in either form:
 * `{ hosts: [{ host, port }, …], database }` or `postgres://one:5432,two:5432/db`. Any one of them names the node. One name in `hosts` is for servers that a DNS name stands for in turn.
 */
export type NodeAddressInput = string | OneServer | SeveralServers;

interface OneServer {
  readonly host: string;
  readonly port?: number;
  readonly database?: string;
}

interface SeveralServers {
  readonly hosts: readonly { readonly host: string; readonly port?: number }[];
  readonly database?: string;
}

/** Or one or more URLs of Patroni's REST interface, which tells of the node's servers. */
export type NodeServersInput = NodeAddressInput | { readonly patroni: string | readonly string[]; readonly database?: string };

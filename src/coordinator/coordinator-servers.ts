import type { ClientConfig } from 'pg';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';
import { addressName } from '../catalog/node-address.ts';
import { splitHosts } from '../cluster/connection-hosts.ts';
import { addressOf, configFor } from '../cluster/connection-settings.ts';
import type { NodeServers } from '../cluster/node-pools.ts';
import { patroniUrls, shownUrl } from '../ha/patroni.ts';
import type { ClusterOptions } from './cluster-options.ts';

export interface CoordinatorServers {
  /** How to connect to the first server. */
  readonly client: ClientConfig;
  /** As messages call the database. */
  readonly name: string;
  /** Where all are; undefined for one server that is never another. */
  readonly servers: NodeServers | undefined;
}

/** What the options say of the coordinator database's servers. Nothing is opened. `invalidParameter`. */
export function coordinatorServers(settings: ClusterOptions): CoordinatorServers {
  const { client, hosts } = listedServers(settings);
  if (settings.patroni !== undefined) return patroniServers({ client, hosts: hosts ?? namedHost(client) }, patroniUrls(settings.patroni));
  return { client, name: addressName({ ...addressOf(client), hosts }), servers: hosts === undefined ? undefined : { hosts } };
}

interface ListedServers {
  readonly client: ClientConfig;
  readonly hosts: readonly ServerAddress[] | undefined;
}

function listedServers(settings: ClusterOptions): ListedServers {
  const client = clientConfig(settings);
  const several = client.connectionString === undefined ? undefined : splitHosts(client.connectionString);
  if (several !== undefined) return { client: { ...client, connectionString: several.first }, hosts: several.hosts };
  const own = addressOf(client);
  const hosts = settings.hosts?.map(({ host, port = own.port }) => ({ host, port }));
  const [first] = hosts ?? [];
  if (hosts === undefined || first === undefined) return { client, hosts: undefined };
  // One alone may be a name whose target changes.
  return { client: configFor(client, { ...first, database: own.database }), hosts };
}

/** Without hosts nothing stands in for what Patroni tells: least of all what pg takes for the host of whoever names none. */
function patroniServers({ client, hosts = [] }: ListedServers, patroni: readonly string[]): CoordinatorServers {
  const own = addressOf(client);
  const name = hosts.length > 0 ? addressName({ ...own, hosts }) : `${patroni.map((url) => shownUrl(url).replace(/\/$/, '')).join(',')}/${own.database}`;
  return { client, name, servers: { hosts, patroni } };
}

/** The one host that was named, if it was. */
function namedHost(client: ClientConfig): readonly ServerAddress[] {
  const { connectionString, host } = client;
  const isNamed = connectionString === undefined ? host !== undefined : URL.canParse(connectionString) && new URL(connectionString).hostname !== '';
  const own = addressOf(client);
  return isNamed ? [{ host: own.host, port: own.port }] : [];
}

/** The options that pg.Client knows. */
function clientConfig(settings: ClusterOptions): ClientConfig {
  const {
    hosts: _hosts, patroni: _patroni, failoverTimeoutMs: _failover, reads: _reads, maxLagMs: _lagMs, maxLagBytes: _lagBytes, nodeConfig: _nodeConfig, exclusivePerNode: _exclusive, sharedPerNode: _shared, repeatedPerConnection: _repeated, connectionsPerStatement: _connections, connectTimeoutMs: _timeout,
    maxIntermediateBytes: _bytes, statementTimeoutMs: _statement, recoveryIntervalMs: _recovery, ddlLockTimeoutMs: _ddl, enableSchemaBasedSharding: _schemas, tuning: _tuning, max: _max, min: _min, idleTimeoutMillis: _idle, log: _log, Promise: _promise, allowExitOnIdle: _exit,
    maxUses: _uses, maxLifetimeSeconds: _lifetime, Client: _client, ...client
  } = settings;
  return client;
}

import { Client, type ClientConfig } from 'pg';

/** What pg makes of a configuration: connection string, environment and defaults resolved. Nothing is opened. */
export interface ConnectionAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string | undefined;
}

export function addressOf(config: ClientConfig): ConnectionAddress {
  const { host, port, database = '', user } = new Client(config);
  return { host, port, database, user };
}

/** The coordinator's configuration with another server's address: user, password, TLS, time-outs and what sessions begin with (`options`) stay. */
export function configFor(config: ClientConfig, address: { readonly host: string; readonly port: number; readonly database: string }): ClientConfig {
  const { connectionString: _string, ...rest } = config;
  const resolved = new Client(config);
  return {
    ...rest,
    ssl: resolved.ssl,
    ...(resolved.user === undefined ? {} : { user: resolved.user }),
    password: config.password ?? resolved.password ?? undefined,
    ...optionsOf(resolved),
    host: address.host,
    port: address.port,
    database: address.database,
  };
}

/** They may stand in the connection string; pg's types do not have them. */
function optionsOf(resolved: Client): Pick<ClientConfig, 'options'> {
  const parameters: unknown = Reflect.get(resolved, 'connectionParameters');
  const options: unknown = typeof parameters === 'object' && parameters !== null ? Reflect.get(parameters, 'options') : undefined;
  return typeof options === 'string' ? { options } : {};
}

import { ClusterError } from '../base/errors.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';

/** A connection string of several hosts, as libpq has them: `postgres://user@one:5432,two:5433/db`. */
const severalHosts = /^(postgres(?:ql)?:\/\/(?:[^@/]*@)?)([^/?]*,[^/?]*)(.*)$/i;
const portDefault = 5432;

/** The connection string with its first host alone, and all hosts; undefined for a string with one host. `invalidParameter`. */
export function splitHosts(connectionString: string): { readonly first: string; readonly hosts: readonly ServerAddress[] } | undefined {
  const [, start, list, rest] = severalHosts.exec(connectionString) ?? [];
  if (start === undefined || list === undefined) return undefined;
  const parts = list.split(',');
  return { first: `${start}${parts[0] ?? ''}${rest ?? ''}`, hosts: parts.map((part) => readHost(decodeURIComponent(part))) };
}

function readHost(text: string): ServerAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw new ClusterError('invalidParameter', `cannot read the host "${text}" of a connection string`);
  return { host, port: port === undefined ? portDefault : Number(port) };
}

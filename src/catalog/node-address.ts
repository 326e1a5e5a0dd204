import type { ClusterNode } from './catalog-snapshot.ts';

/** Whether one of the node's servers is there. */
export function isAtAddress({ host, port, hosts = [{ host, port }], database }: Omit<ClusterNode, 'id'>, address: { readonly host: string; readonly port: number; readonly database: string }): boolean {
  return database === address.database && hosts.some((one) => one.host === address.host && one.port === address.port);
}

/** As messages call it: `host:port/database`, with all hosts where it has several. */
export function addressName({ host, port, hosts = [{ host, port }], database }: Omit<ClusterNode, 'id'>): string {
  return `${hosts.map((one) => `${one.host}:${one.port}`).join(',')}/${database}`;
}

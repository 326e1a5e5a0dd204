export { startEmbeddedCluster, type EmbeddedCluster, type EmbeddedAddress, type EmbeddedClusterOptions, type EmbeddedNode, type EmbeddedWhich } from './embedded/embedded-cluster.ts';
export { startPostgres, type PostgresServer, type StandbyOptions } from './embedded/postgres-server.ts';
export type { PostgresOptions } from './embedded/postgres-options.ts';
export type { PostgresMajor } from './embedded/find-binaries.ts';
export { defaultSettings, volatileSettings, type Settings } from './embedded/default-settings.ts';

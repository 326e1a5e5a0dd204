/** Server settings by name, as in postgresql.conf: values without quotes. */
export type Settings = Readonly<Record<string, string>>;

/**
 * What a node of a cluster needs (`max_prepared_transactions`, `wal_level`) or does well to have, and sizes for several servers on one machine.
 * They stand in postgresql.conf, so ALTER SYSTEM overrides them.
 */
export const defaultSettings: Settings = {
  max_prepared_transactions: '200',
  wal_level: 'logical',
  max_connections: '300',
  max_wal_senders: '20',
  max_replication_slots: '20',
  client_connection_check_interval: '10s',
  shared_buffers: '64MB',
  max_wal_size: '1GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

/** For tests: quick, and commits survive the end of the server in any way, though not that of the machine. */
export const volatileSettings: Settings = {
  fsync: 'off',
  full_page_writes: 'off',
  autovacuum_naptime: '1h',
};

/** Lines for postgresql.conf. */
export function settingLines(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('');
}

/** Arguments of the `postgres` program; they win over postgresql.conf and over ALTER SYSTEM. */
export function settingArguments(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

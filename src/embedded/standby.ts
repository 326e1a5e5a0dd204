import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { present } from '../base/assert.ts';
import { temporaryPlace } from './data-directory.ts';
import type { Settings } from './default-settings.ts';
import { freePort } from './free-port.ts';
import type { PostgresMajor } from './find-binaries.ts';
import type { PreparedServer } from './prepare-server.ts';
import type { PostgresServer, StandbyOptions } from './postgres-server.ts';
import { type Run, runServer } from './run-server.ts';
import { withServer } from './with-server.ts';

/**
 * Starts a standby from a base backup of a server that runs, made by PostgreSQL's low-level interface: files are copied between pg_backup_start and
 * pg_backup_stop, and a slot keeps the log that the standby begins with. The caller has a supervisor to let go of, as after `runServer`.
 */
export async function standbyOf(primary: PostgresServer, own: PreparedServer, options: StandbyOptions): Promise<{ readonly prepared: PreparedServer; readonly run: Run }> {
  const port = options.port ?? (await freePort());
  const prepared = { ...own, template: primary.dataDirectory, ...temporaryPlace(own.user), settings: { ...own.settings, ...followingSettings(primary, port, options.applicationName) } };
  await makeSlot(primary, port);
  const run = await withServer(primary, async (connection) => {
    await connection.query({ text: `SELECT pg_catalog.pg_backup_start('standby', true)` });
    const endBackup = async (): Promise<string> => present((await connection.query({ text: 'SELECT labelfile FROM pg_catalog.pg_backup_stop(false)' })).rows[0]?.[0] ?? undefined, 'label of a backup');
    return runServer(prepared, { port, endBackup, signal: options.signal });
  });
  return { prepared: { ...prepared, template: undefined }, run };
}

/** What a stopped server has to be started with in order to follow another one. */
export async function becomeStandby(own: PreparedServer, { port, dataDirectory }: PostgresServer, primary: PostgresServer): Promise<PreparedServer> {
  await makeSlot(primary, port);
  const signalFile = join(dataDirectory, 'standby.signal');
  writeFileSync(signalFile, '');
  if (own.user !== undefined) chownSync(signalFile, own.user.uid, own.user.gid);
  return { ...own, settings: { ...own.settings, ...followingSettings(primary, port) } };
}

export async function promoteServer(server: PostgresServer): Promise<void> {
  await withServer(server, (connection) => connection.query({ text: 'SELECT pg_catalog.pg_promote(true, 60)' }));
}

/** A primary passes over them. From version 17 on the standby takes over the logical slots that are to survive a failover. */
function followingSettings({ host, port: primaryPort, user, database, major }: PostgresServer, port: number, applicationName = slotOf(port)): Settings {
  return {
    primary_conninfo: `host=${host} port=${primaryPort} user=${user} dbname=${database} application_name=${applicationName}`,
    primary_slot_name: slotOf(port),
    ...(takesOverSlots(major) ? { sync_replication_slots: 'on', hot_standby_feedback: 'on' } : {}),
    // Soon enough for who tries a standby out.
    wal_retrieve_retry_interval: '200ms',
    wal_receiver_status_interval: '1s',
  };
}

async function makeSlot(primary: PostgresServer, port: number): Promise<void> {
  const text = `SELECT pg_catalog.pg_create_physical_replication_slot($1, true) WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1)`;
  await withServer(primary, (connection) => connection.query({ text, values: [slotOf(port)] }));
}

export function takesOverSlots(major: PostgresMajor): boolean {
  return major >= 17;
}

/** Of the standby at this port. */
export function slotOf(port: number): string {
  return `standby_${port}`;
}

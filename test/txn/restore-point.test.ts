import { execFile } from 'node:child_process';
import { appendFile, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { type PostgresServer, startPostgres, volatileSettings } from '../../src/embedded.ts';
import { Cluster, type RestorePoint } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';

const run = promisify(execFile);
const tenants = 12;

/** Copies the data directory of a running server, as its documentation says, and lets the copy end its recovery at the point. */
async function backUp(server: PostgresServer, directory: string): Promise<void> {
  const client = await new Client(server.connectionString).connect();
  await client.query(`SELECT pg_backup_start('base', true)`);
  // Files come and go meanwhile.
  await run('cp', ['-a', server.dataDirectory, directory]).catch(() => undefined);
  const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
  await client.end();
  await run('sh', ['-c', `cd "$1" && rm -rf postmaster.pid postmaster.opts pg_replslot/* pg_wal/0*`, 'sh', directory]);
  await writeFile(join(directory, 'backup_label'), rows[0]?.labelfile ?? '');
  await writeFile(join(directory, 'recovery.signal'), '');
  await run('sh', ['-c', 'chown --reference="$1/PG_VERSION" "$1/backup_label" "$1/recovery.signal"', 'sh', directory]);
}

/** Money goes from tenant to tenant, mostly on several nodes, by two rows of one number. */
function startTransfers(cluster: Cluster): { readonly made: () => number; readonly stop: () => Promise<void> } {
  let isOver = false;
  let made = 0;
  const work = async (worker: number): Promise<void> => {
    for (let i = 0; ; i += 1) {
      if (isOver) return;
      const [from, to] = [(worker + i) % tenants, (worker + i * 5 + 1) % tenants];
      await cluster.transaction(async (client) => {
        await client.query('INSERT INTO ledger VALUES ($1, $2, -1)', [from, `${worker}-${i}`]);
        await client.query('INSERT INTO ledger VALUES ($1, $2, 1)', [to, `${worker}-${i}+`]);
      });
      made += 1;
    }
  };
  const running = Promise.all([0, 1, 2, 3].map(work));
  return {
    made: () => made,
    stop: async () => {
      isOver = true;
      await running;
    },
  };
}

test('all servers restored to one point have each transaction over several of them wholly or not at all', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'shardwright-restore-'));
  await chmod(directory, 0o755);
  const names = ['coordinator', 'one', 'two'] as const;
  const archiveOf = (name: string): string => join(directory, `archive-${name}`);
  const started: PostgresServer[] = [];
  try {
    for (const name of names) {
      await mkdir(archiveOf(name));
      await chmod(archiveOf(name), 0o777);
      started.push(await startPostgres({ settings: { ...volatileSettings, archive_mode: 'on', archive_command: `cp %p ${archiveOf(name)}/%f` } }));
    }
    const connectionString = at(started, 0).connectionString;
    const cluster = new Cluster({ connectionString });
    for (const { port } of started.slice(1)) await cluster.addNode({ host: '127.0.0.1', port, database: 'postgres' });
    await cluster.query('CREATE TABLE ledger (tenant int, id text, amount int, PRIMARY KEY (tenant, id))');
    await cluster.createDistributedTable('ledger', 'tenant', { shardCount: 6 });
    const transfers = startTransfers(cluster);
    await until(() => transfers.made() > 20);
    await Promise.all(started.map((server, i) => backUp(server, join(directory, at(names, i)))));
    const points: RestorePoint[] = [];
    for (let i = 0; i < 3; i += 1) {
      const before = transfers.made();
      points.push(await cluster.createRestorePoint(`point ${i}`));
      await until(() => transfers.made() > before + 20);
    }
    await expect(cluster.createRestorePoint('')).rejects.toMatchObject({ id: 'invalidParameter' });
    await transfers.stop();
    const atEnd = transfers.made();
    await cluster.end();
    const point = at(points, 1);
    expect(point.servers.map(({ nodeId, restorePoint, timeline }) => ({ nodeId, restorePoint, timeline }))).toEqual([0, 1, 2].map((nodeId) => ({ nodeId, restorePoint: 'point 1', timeline: 1 })));
    for (const server of started) {
      const client = await new Client(server.connectionString).connect();
      const { rows } = await client.query<{ file: string }>('SELECT pg_walfile_name(pg_current_wal_lsn()) AS file FROM pg_switch_wal()');
      await until(async () => (await client.query<{ last: string | null }>('SELECT last_archived_wal AS last FROM pg_stat_archiver')).rows.some(({ last }) => last !== null && last >= (rows[0]?.file ?? '').replace(/.$/, '0') && last.length === 24));
      await client.end();
      await server.stop('immediate');
    }
    const ports = started.splice(0).map(({ port }) => port);
    for (const [i, name] of names.entries()) {
      const { lsn } = at(point.servers, i);
      const settings = [`restore_command = 'cp ${archiveOf(name)}/%f %p'`, `recovery_target_lsn = '${lsn}'`, 'recovery_target_inclusive = off', `recovery_target_timeline = '1'`, `recovery_target_action = 'promote'`];
      await appendFile(join(directory, name, 'postgresql.conf'), settings.join('\n'));
      started.push(await startPostgres({ dataDirectory: join(directory, name), port: at(ports, i), settings: volatileSettings }));
    }
    for (const server of started) {
      const client = await new Client(server.connectionString).connect();
      await until(async () => (await client.query<{ over: boolean }>('SELECT NOT pg_is_in_recovery() AS over')).rows[0]?.over === true);
      await client.end();
    }
    const restored = new Cluster({ connectionString });
    expect((await restored.recover()).left).toEqual([]);
    const { rows } = await restored.query<{ sum: string; count: string; alone: string }>(`SELECT sum(amount), count(*), count(*) FILTER (WHERE n <> 2) AS alone FROM ledger JOIN (
      SELECT rtrim(id, '+') AS transfer, count(*) AS n FROM ledger GROUP BY 1) t ON transfer = rtrim(id, '+')`);
    expect({ sum: rows[0]?.sum, alone: rows[0]?.alone }).toEqual({ sum: '0', alone: '0' });
    // Something in the middle was restored.
    expect(Number(rows[0]?.count)).toBeGreaterThan(40);
    expect(Number(rows[0]?.count)).toBeLessThan(2 * atEnd);
    await restored.query('INSERT INTO ledger VALUES (1, $1, 0)', ['new']);
    await restored.end();
  } finally {
    await Promise.all(started.map((server) => server.stop('immediate')));
    await rm(directory, { recursive: true, force: true });
  }
}, 120_000);

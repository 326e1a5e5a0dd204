// Installs what `npm run test:patroni` uses beside Node: Patroni, etcd and PostgreSQL 15 of Debian. Does nothing where they are there already.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const packages = ['patroni', 'python3-etcd', 'etcd-server', 'postgresql-15'];
const files = ['/usr/bin/patroni', '/usr/lib/python3/dist-packages/etcd', '/usr/bin/etcd', '/usr/lib/postgresql/15/bin/pg_rewind'];

if (!files.every((file) => existsSync(file))) install(packages);

function install(names) {
  if (spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status !== 0 || process.getuid?.() !== 0) {
    console.error(`These Debian packages are needed, and only root can install them: ${names.join(' ')}`);
    process.exit(1);
  }
  // Neither an etcd nor another PostgreSQL must start by itself.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const args of [['update', '-qq'], ['install', '-y', '-qq', '--no-install-recommends', ...names]]) {
    const { status } = spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env });
    if (status !== 0) process.exit(status ?? 1);
  }
}

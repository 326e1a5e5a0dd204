// Installs what `npm run test:clients` uses beside Node: psql, pgbench and pg_dump of Debian, psycopg and asyncpg, JDBC with a Java and a small compiler. Does nothing where they are there already.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const packages = ['postgresql-client-15', 'python3', 'python3-psycopg', 'python3-asyncpg', 'default-jre-headless', 'ecj', 'libpostgresql-jdbc-java'];
const has = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const pgbench = '/usr/lib/postgresql/15/bin/pgbench';

if (!has('/usr/lib/postgresql/15/bin/psql', '--version') || !has('/usr/bin/python3', '-c', 'import psycopg, asyncpg') || !has('ecj', '-version') || !existsSync('/usr/share/java/postgresql.jar')) install(packages);
if (!existsSync(pgbench)) install(['postgresql-15']);

function install(names) {
  if (!has('apt-get', '--version') || process.getuid?.() !== 0) {
    console.error(`These Debian packages are needed, and only root can install them: ${names.join(' ')}`);
    process.exit(1);
  }
  // Another PostgreSQL must not start by itself.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const args of [['update', '-qq'], ['install', '-y', '-qq', '--no-install-recommends', ...names]]) {
    const { status } = spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env });
    if (status !== 0) process.exit(status ?? 1);
  }
}

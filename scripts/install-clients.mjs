// Installs what `npm run test:clients` uses beside Node: psql, pgbench and pg_dump of Debian, psycopg and asyncpg, JDBC with a Java and a small compiler. Does nothing where they are there already.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { installDebian } from './install-debian.mjs';

const packages = ['postgresql-client-15', 'python3', 'python3-psycopg', 'python3-asyncpg', 'default-jre-headless', 'ecj', 'libpostgresql-jdbc-java'];
const has = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const pgbench = '/usr/lib/postgresql/15/bin/pgbench';

if (!has('/usr/lib/postgresql/15/bin/psql', '--version') || !has('/usr/bin/python3', '-c', 'import psycopg, asyncpg') || !has('ecj', '-version') || !existsSync('/usr/share/java/postgresql.jar')) installDebian(packages);
if (!existsSync(pgbench)) installDebian(['postgresql-15']);

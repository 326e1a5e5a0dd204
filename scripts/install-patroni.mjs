// Installs what `npm run test:patroni` uses beside Node: Patroni, etcd and PostgreSQL 15 of Debian. Does nothing where they are there already.
import { existsSync } from 'node:fs';
import { installDebian } from './install-debian.mjs';

const packages = ['patroni', 'python3-etcd', 'etcd-server', 'postgresql-15'];
const files = ['/usr/bin/patroni', '/usr/lib/python3/dist-packages/etcd', '/usr/bin/etcd', '/usr/lib/postgresql/15/bin/pg_rewind'];

if (!files.every((file) => existsSync(file))) installDebian(packages);

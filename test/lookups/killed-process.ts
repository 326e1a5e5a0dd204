import { Socket } from 'node:net';
import { Cluster } from '../../src/index.ts';

/** Makes a change, and is killed in the place of its n-th message to a server. What it is: SQL, or a method of the cluster for the lookup of users' addresses. */
const [connectionString = '', change = '', nth = ''] = process.argv.slice(2);
const cluster = new Cluster({ connectionString, recoveryIntervalMs: 0 });
await cluster.query('SELECT count(*) FROM users');
let left = Number(nth);
const { prototype } = Socket;
const original: unknown = Reflect.get(prototype, 'write');
prototype.write = function (this: Socket, ...given: Parameters<Socket['write']>) {
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
  return Reflect.apply(original as Socket['write'], this, given);
} as Socket['write'];
if (change === 'create') await cluster.createUniqueLookup('users', 'email');
else if (change === 'drop') await cluster.dropUniqueLookup('users', ['email']);
else await cluster.query(change);
process.kill(process.pid, 'SIGTERM');

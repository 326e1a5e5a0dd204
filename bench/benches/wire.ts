import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { assert } from '../../src/base/assert.ts';
import type { Bench, Variant } from '../harness/bench.ts';
import type { Side } from '../harness/side.ts';
import { ratioAtLeast, valueAtMost } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';

/** The wire server in a process of its own. */
interface Served {
  readonly child: ChildProcess;
  readonly url: string;
}

/** pgbench, from Debian's postgresql-15, through the wire server and straight to one PostgreSQL. */
export const wire: Bench = {
  name: 'wire',
  about: 'pgbench -S through the wire server, memory of its idle connections',
  ownTables: true,
  variants: (bed) => {
    let served: Served | undefined;
    const where = (side: Side): string => (side.kind === 'plain' ? side.connectionString : urlOf(served));
    const start = async (): Promise<void> => {
      served ??= await serveCluster(bed);
    };
    bed.atEnd(async () => served?.child.kill('SIGTERM'));
    return [lookups(bed, { start, where, clients: 32 }), lookups(bed, { start, where, clients: 1 }), idleConnections(bed, () => urlOf(served), () => served?.child.pid ?? 0)];
  },
};

const pgbench = '/usr/lib/postgresql/15/bin/pgbench';
const accounts = 100_000;
const run = promisify(execFile);

interface Lookups {
  readonly start: () => Promise<void>;
  readonly where: (side: Side) => string;
  readonly clients: number;
}

function lookups(bed: TestBed, { start, where, clients }: Lookups): Variant {
  const many = clients > 1;
  return {
    metrics: [many ? { name: `wire/select-${clients}`, unit: 'ops/s', target: ratioAtLeast(0.5) } : { name: 'wire/latency', unit: 'ms', target: { text: '+ ≤ 0.15 ms', met: ({ plain, cluster }) => (plain === undefined || cluster === undefined ? undefined : cluster - plain <= 0.15) } }],
    prepare: async () => {
      await start();
      if (!many) return;
      const table = 'CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84)); CREATE TABLE pgbench_branches (bid int PRIMARY KEY)';
      const rows = `INSERT INTO pgbench_accounts SELECT i, 1, 0, '' FROM generate_series(1, ${accounts}) AS i`;
      for (const side of [bed.plain, bed.cluster]) await side.pool(1).query(table);
      await bed.shardwright.createDistributedTable('pgbench_accounts', 'aid');
      for (const side of [bed.plain, bed.cluster]) await side.pool(1).query(rows);
    },
    measure: async (side) => {
      const seconds = Math.max(1, Math.round((bed.pace.measureMs * 3) / 1000));
      const script = `\\set aid random(1, ${accounts})\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n`;
      const file = path.join(bed.directory, 'select.sql');
      await writeFile(file, script);
      const { stdout } = await run(pgbench, ['-n', '-M', 'prepared', '-c', String(clients), '-j', '1', '-T', String(seconds), '-f', file, where(side)]);
      const found = (many ? /^tps = ([\d.]+)/m : /^latency average = ([\d.]+) ms/m).exec(stdout)?.[1];
      assert(found !== undefined, `pgbench said: ${stdout}`);
      return [Number(found)];
    },
  };
}

const connections = 5_000;

function idleConnections(bed: TestBed, url: () => string, pid: () => number): Variant {
  return {
    metrics: [{ name: `wire/idle-${connections}`, unit: 'MB', target: valueAtMost((connections * 100) / 1024, 'MB') }, { name: 'wire/idle-answer', unit: 'ms' }],
    clusterOnly: true,
    warm: true,
    costly: true,
    measure: async () => {
      const before = residentMB(pid());
      const open: Socket[] = [];
      try {
        for (let i = 0; i < connections; i += 100) open.push(...(await Promise.all(Array.from({ length: 100 }, () => session(url())))));
        bed.progress.update(`${connections} connections open`);
        const memory = residentMB(pid()) - before;
        const start = performance.now();
        await Promise.all(open.map((socket) => answered(socket)));
        return [memory, performance.now() - start];
      } finally {
        for (const socket of open) socket.destroy();
      }
    },
  };
}

function residentMB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Connects, without a driver's own memory. */
async function session(url: string): Promise<Socket> {
  const { hostname, port, pathname, username } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const body = Buffer.from(`\0\x03\0\0user\0${username}\0database\0${pathname.slice(1)}\0\0`, 'latin1');
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  socket.write(Buffer.concat([length, body]));
  await ready(socket);
  return socket;
}

function answered(socket: Socket): Promise<void> {
  socket.write(Buffer.from('Q\0\0\0\x0dSELECT 1\0', 'latin1'));
  return ready(socket);
}

/** ReadyForQuery is the last message of an answer. */
function ready(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let end = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      end = Buffer.concat([end, chunk]).subarray(-6);
      if (end.toString('latin1', 0, 5) !== 'Z\0\0\0\x05') return;
      socket.off('data', take);
      socket.off('close', closed);
      resolve();
    };
    const closed = (): void => reject(new Error('the wire server hung up'));
    socket.on('data', take);
    socket.once('close', closed);
  });
}

function urlOf(served: Served | undefined): string {
  assert(served !== undefined, 'the wire server does not run');
  return served.url;
}

async function serveCluster(bed: TestBed): Promise<Served> {
  const child = spawn(process.execPath, [path.join(bed.builtDirectory, 'cli.mjs'), 'serve', '--coordinator', bed.cluster.connectionString, '--listen', '127.0.0.1:0', '--authentication', 'trust'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as unknown[];
  const url = /^ready (\S+)/.exec(String(line))?.[1];
  assert(url !== undefined, 'the wire server did not start');
  return { child, url };
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { at } from '../../../src/base/assert.ts';
import { Cluster } from '../../../src/index.ts';
import { Random } from '../../oracle/random.ts';
import { doHarm, type Harm } from '../chaos.ts';
import { settle } from '../settle.ts';
import type { SoakServers } from '../soak-servers.ts';
import type { SoakOptions } from '../soak-options.ts';
import type { BankEvent } from './bank-event.ts';
import { createBank } from './bank-tables.ts';
import { type BankState, checkBank } from './check-bank.ts';
import { MovingShards, type Moves } from './moving-shards.ts';
import { scriptArguments } from '../../support/child-script.ts';

export interface BankReport extends Harm {
  readonly objections: readonly string[];
  readonly events: readonly BankEvent[];
  readonly transfers: number;
  /** Of shard groups. */
  readonly moves: Moves;
}

const endMsMax = 20_000;

/** Processes make transfers and read totals while shard groups move, and harm is done to processes, connections and servers. */
export async function runBank(servers: SoakServers, { seed, seconds, processes, serverKills }: SoakOptions): Promise<BankReport> {
  const random = new Random(seed);
  await createBank(servers.connectionString);
  const bank = new BankProcesses(servers.connectionString, seed);
  for (let i = 0; i < processes; i += 1) bank.start();
  const moving = new MovingShards(servers.connectionString, new Random(seed + 1_000));
  const harm = await doHarm(servers, { random, serverKills, killProcess: () => bank.killOne(random) }, AbortSignal.timeout(seconds * 1_000));
  const moves = await moving.end();
  await bank.end();
  const cluster = new Cluster({ connectionString: servers.connectionString });
  await settle(cluster);
  const state = await readState(cluster);
  await cluster.end();
  return { ...harm, moves, events: bank.events, transfers: state.transfers.size, objections: checkBank(bank.events, state) };
}

export class BankProcesses {
  readonly events: BankEvent[] = [];
  readonly #running: ChildProcess[] = [];
  /** Those that have told something. */
  readonly #working = new Set<ChildProcess>();
  readonly #read: Promise<unknown>[] = [];
  #started = 0;

  constructor(
    private readonly connectionString: string,
    private readonly seed: number,
  ) {}

  start(): void {
    this.#started += 1;
    const child = spawn(process.execPath, [...scriptArguments(new URL('bank-process.ts', import.meta.url)), this.connectionString, String(this.seed + this.#started), `p${this.#started}`], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#running.push(child);
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      this.#working.add(child);
      // The last line of a process that was killed may be cut off.
      if (line.endsWith('}')) this.events.push(JSON.parse(line) as BankEvent);
    });
    this.#read.push(once(lines, 'close'));
  }

  /** One that has come to work; false if there is none. */
  killOne(random: Random): boolean {
    const working = this.#running.filter((child) => this.#working.has(child));
    if (working.length === 0) return false;
    const child = random.pick(working);
    child.kill('SIGKILL');
    this.#running.splice(this.#running.indexOf(child), 1);
    this.start();
    return true;
  }

  async end(): Promise<void> {
    const ended = this.#running.map((child) => (child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve()));
    for (const child of this.#running) child.stdin?.end();
    const tooLong = new AbortController();
    await Promise.race([Promise.all(ended), wait(endMsMax, undefined, { signal: tooLong.signal }).then(() => Promise.reject(new Error('a process does not end')), () => undefined)]);
    tooLong.abort();
    await Promise.all(this.#read);
    const failed = this.#running.find(({ exitCode }) => exitCode !== 0);
    if (failed !== undefined) throw new Error(`a process ended with ${failed.exitCode ?? failed.signalCode}`);
  }
}

export async function readState(cluster: Cluster): Promise<BankState> {
  return cluster.snapshot(async (client) => {
    const total = await client.query<{ total: string }>('SELECT sum(balance)::text AS total FROM accounts');
    const wrong = await client.query<{ tenant_id: number }>(`SELECT a.tenant_id FROM accounts a LEFT JOIN transfers t USING (tenant_id) GROUP BY a.tenant_id, a.balance HAVING a.balance <> 1000 + coalesce(sum(t.amount), 0)`);
    const transfers = await client.query<{ transfer: string; rows: string; sum: string }>('SELECT transfer, count(*) AS rows, sum(amount) AS sum FROM transfers GROUP BY transfer');
    return {
      total: Number(at(total.rows, 0).total),
      wrongAccounts: wrong.rows.map(({ tenant_id: tenant }) => tenant),
      transfers: new Map(transfers.rows.map(({ transfer, rows, sum }) => [transfer, { rows: Number(rows), sum: Number(sum) }])),
    };
  });
}

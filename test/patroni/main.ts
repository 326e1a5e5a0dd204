import { parseArgs } from 'node:util';
import { at } from '../../src/base/assert.ts';
import { BankProcesses, readState } from '../soak/bank/run-bank.ts';
import { createBank } from '../soak/bank/bank-tables.ts';
import { checkBank } from '../soak/bank/check-bank.ts';
import { settle } from '../soak/settle.ts';
import { patroniSwitchover } from '../../src/ha/patroni.ts';
import { Callbacks } from './callbacks.ts';
import { harms } from './harms.ts';
import { type PatroniCluster, startPatroniCluster } from './patroni-cluster.ts';
import { SingleWrites } from './single-writes.ts';
import { TokenReads } from './token-reads.ts';
import { runTrial, type TrialResult } from './trial.ts';

const usage = `usage: npm run test:patroni -- [--times N] [--only "${harms.map(({ name }) => name).join('" | "')}"]`;
const seed = 1;

/** Trials with real Patronis, one row each, while a process of the bank makes transfers; exit code 1 when anything is not as it must be. */
async function main(): Promise<number> {
  const { values: { times, only } } = parseArgs({ options: { times: { type: 'string' }, only: { type: 'string' } } });
  const chosen = harms.filter(({ name }) => only === undefined || only === name);
  if (chosen.length === 0 || (times !== undefined && !/^\d+$/.test(times))) throw new Error(usage);
  await using patroni = await startPatroniCluster({ failoverTimeoutMs: 20_000, recoveryIntervalMs: 500, readTokens: true });
  const workload = { writes: await SingleWrites.create(patroni.cluster), readers: await TokenReads.create(patroni.cluster) };
  await createBank(patroni.connectionString);
  const bank = new BankProcesses(patroni.connectionString, seed);
  bank.start();
  await checkCallback(patroni);
  console.log(row(['harm', 'to', 'healed ms', 'resumed ms', 'plain ms', 'in all ms', 'writes', 'failed', 'reads', 'old without', 'objections']));
  let objections = 0;
  for (const harm of chosen) {
    for (let i = 0; i < Math.min(harm.times, Number(times ?? harm.times)); i += 1) {
      const result = await runTrial(patroni, workload, { harm, target: at(harm.targets, i % harm.targets.length) });
      console.log(row(cells(result)));
      objections += result.objections.length;
    }
  }
  const found = await endBank(patroni, bank);
  return objections + found === 0 ? 0 : 1;
}

/** A switchover past the library: Patroni's callback tells all processes. */
async function checkCallback({ groups }: PatroniCluster): Promise<void> {
  const coordinator = await groups.coordinator.primary();
  await using callbacks = await Callbacks.listen(`postgres://postgres@127.0.0.1:${coordinator.port}/postgres`);
  await patroniSwitchover(groups['node-1'].urls, { timeoutMs: 30_000 });
  await callbacks.heard();
  await groups['node-1'].healthy();
  console.log('the callback of node 1 is heard');
}

async function endBank({ cluster }: PatroniCluster, bank: BankProcesses): Promise<number> {
  await bank.end();
  await settle(cluster);
  const objections = checkBank(bank.events, await readState(cluster));
  const of = (kind: string): number => bank.events.filter((event) => event.kind === kind).length;
  console.log(`bank: ${of('acknowledged')} transfers acknowledged, ${of('refused')} refused, ${of('unknown')} unknown; ${of('read')} totals read, ${of('unread')} not to be had; ${objections.length} objections`);
  for (const objection of objections.slice(0, 20)) console.log(`  ${objection}`);
  return objections.length;
}

function cells({ harm, target, healedMs, resumedMs, plainMs, acknowledged, failed, reads, objections }: TrialResult): string[] {
  const failures = [...failed].map(([code, count]) => `${count} × ${code}`).join(', ');
  return [harm, target, healedMs.toFixed(0), resumedMs.toFixed(0), plainMs.toFixed(0), (healedMs + resumedMs).toFixed(0), String(acknowledged), failures === '' ? '0' : failures, String(reads.reads), String(reads.oldWithout), objections.length === 0 ? 'none' : objections.join('; ')];
}

const widths = [26, 12, 10, 10, 10, 10, 8, 12, 8, 12];

function row(texts: readonly string[]): string {
  return texts.map((text, i) => ((i >= 2 && i <= 6) || i === 8 || i === 9 ? text.padStart(at(widths, i)) : text.padEnd(widths[i] ?? 0))).join('  ').trimEnd();
}

process.exitCode = await main();

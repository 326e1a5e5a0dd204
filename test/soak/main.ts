import { parseArgs } from 'node:util';
import type { PostgresMajor } from '../../src/embedded.ts';
import type { BankEvent } from './bank/bank-event.ts';
import { runBank } from './bank/run-bank.ts';
import { runFeed } from './feed/run-feed.ts';
import { type ListLevel, runLists } from './lists/run-lists.ts';
import { runMoves } from './moves/run-moves.ts';
import { runSchema } from './schema/run-schema.ts';
import type { SoakOptions } from './soak-options.ts';
import { type SoakServers, startSoakServers } from './soak-servers.ts';

const usage = 'usage: npm run soak -- [bank|lists|lists-read-committed|moves|feed|schema] [--seed N] [--seconds S | --jobs N] [--processes 3] [--nodes 3] [--major 18] [--spare-servers] [--spare-processes]';
const workloads = { bank: onServers(bank), lists: onServers(listsAt('consistent snapshots')), 'lists-read-committed': onServers(listsAt('read committed')), moves: onServers(moves), feed, schema: onServers(schema) } as const;
const majors = [15, 16, 17, 18] as const satisfies readonly PostgresMajor[];

/** Work under random harm, then a look at what has come of it; exit code 1 when anything is not as it must be. */
async function main(): Promise<number> {
  const { names, major, nodes, ...options } = readOptions();
  console.log(`seed ${options.seed}`);
  let objections = 0;
  for (const name of names) {
    const report = await workloads[name]({ major, nodes }, options);
    console.log(`${name}: ${report.summary}`);
    for (const objection of report.objections.slice(0, 20)) console.log(`  ${objection}`);
    objections += report.objections.length;
  }
  return objections === 0 ? 0 : 1;
}

interface Size {
  readonly major: PostgresMajor;
  readonly nodes: number;
}

interface Told {
  readonly summary: string;
  readonly objections: readonly string[];
}

/** Servers of its own, one for each node, behind proxies. */
function onServers(run: (servers: SoakServers, options: SoakOptions) => Promise<Told>): (size: Size, options: SoakOptions) => Promise<Told> {
  return async (size, options) => {
    await using servers = await startSoakServers(size);
    return await run(servers, options);
  };
}

async function bank(servers: SoakServers, options: SoakOptions): Promise<Told> {
  const { events, transfers, moves: moved, objections, cuts, processKills, serverKills } = await runBank(servers, options);
  const of = (kind: string): number => events.filter((event) => event.kind === kind).length;
  return {
    objections,
    summary: `${of('acknowledged')} transfers acknowledged, ${of('refused')} refused, ${of('unknown')} unknown, ${transfers} there; ${of('read')} totals read, ${of('unread')} not to be had (${codesOf(events)}); `
      + `${processKills} processes and ${serverKills} servers killed, ${cuts} cuts, ${moved.made} of ${moved.begun} moves; ${objections.length} objections`,
  };
}

function codesOf(events: readonly BankEvent[]): string {
  const codes = events.flatMap((event) => (event.kind === 'unread' ? [event.code] : []));
  return [...new Set(codes)].map((code) => `${code} ${codes.filter((one) => one === code).length} times`).join(', ');
}

/** With READ COMMITTED a transaction may be seen by halves, so that is no objection there. */
function listsAt(level: ListLevel): (servers: SoakServers, options: SoakOptions) => Promise<Told> {
  return async (servers, options) => {
    const { history, anomalies, cuts, serverKills } = await runLists(servers, level, options);
    const of = (outcome: string): number => history.filter((entry) => entry.outcome === outcome).length;
    const objections = anomalies.filter(({ kind }) => level === 'consistent snapshots' || kind !== 'G-single');
    return {
      objections: objections.map(({ kind, about }) => `${kind}: ${about}`),
      summary: `${of('committed')} transactions committed, ${of('aborted')} aborted, ${of('unknown')} unknown; ${serverKills} servers killed, ${cuts} cuts; ${anomalies.length - objections.length} seen by halves; ${objections.length} objections`,
    };
  };
}

async function moves(servers: SoakServers, options: SoakOptions): Promise<Told> {
  const timesOf = (made: ReadonlyMap<string, number>): string => [...made].map(([deed, times]) => `${deed} ${times} times`).join(', ');
  const { made, writes, objections } = await runMoves(servers, {
    ...options, onProgress: (so) => console.log(`  ${so.seconds} s: ${timesOf(so.made)}; ${so.writes} writes acknowledged here; ${so.failures} failures`),
  });
  return { objections, summary: `${timesOf(made)}; ${writes} writes acknowledged; ${objections.length} objections` };
}

async function feed(size: Size, options: SoakOptions): Promise<Told> {
  const { made, refused, failovers, writes, events, repeated, openings, rows, objections } = await runFeed(size, options);
  const times = (counts: ReadonlyMap<string, number>): string => [...counts].map(([what, count]) => `${what} ${count} times`).join(', ');
  return {
    objections,
    summary: `${events} events, ${repeated} of them again, in ${openings} openings; ${rows} rows at the end; ${writes} writes, ${failovers} failovers, ${times(made)}; refused: ${times(refused)}; ${objections.length} objections`,
  };
}

async function schema(servers: SoakServers, options: SoakOptions): Promise<Told> {
  const { changes, refused, givenUp, processKills, serverKills, events, objections } = await runSchema(servers, options);
  const times = (of: readonly string[]): string => [...new Set(of)].map((one) => `${one} ${of.filter((other) => other === one).length} times`).join(', ');
  for (const [why, count] of refused) console.log(`  refused ${count} times: ${why}`);
  const failed = events.flatMap((event) => (event.kind === 'failed' ? [`${event.code}${event.id === '' ? '' : ` (${event.id})`}`] : []));
  return {
    objections,
    summary: `${changes} changes, ${givenUp} of them given up; ${events.filter(({ kind }) => kind === 'done').length} deeds of the application done, ${failed.length} failed (${times(failed)}); ${processKills} processes and ${serverKills} servers killed; ${objections.length} objections`,
  };
}

function readOptions(): SoakOptions & { readonly names: readonly (keyof typeof workloads)[] } & Size {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { seed: text, seconds: text, jobs: text, processes: text, nodes: text, major: text, 'spare-servers': { type: 'boolean' }, 'spare-processes': { type: 'boolean' } } });
  const names = positionals.length === 0 ? (Object.keys(workloads) as (keyof typeof workloads)[]) : positionals.map((name) => {
    if (!isWorkload(name)) throw new Error(usage);
    return name;
  });
  const major = majors.find((known) => known === numberOf(values.major, 18));
  if (major === undefined) throw new Error(usage);
  return {
    names, major, seed: numberOf(values.seed, Math.floor(Math.random() * 1e6)), seconds: numberOf(values.seconds, 60), jobs: values.jobs === undefined ? undefined : numberOf(values.jobs, 0), processes: numberOf(values.processes, 3), nodes: numberOf(values.nodes, 3),
    serverKills: values['spare-servers'] !== true, processKills: values['spare-processes'] !== true,
  };
}

function isWorkload(name: string): name is keyof typeof workloads {
  return name in workloads;
}

function numberOf(text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(usage);
  return value;
}

process.exitCode = await main();

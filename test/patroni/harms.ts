import { setTimeout as delay } from 'node:timers/promises';
import { type GroupName, groupNames, type PatroniCluster } from './patroni-cluster.ts';
import type { PatroniGroup } from './patroni-group.ts';
import { takesWrites } from './takes-writes.ts';

/** What a trial has measured, in milliseconds of `performance.now()`. */
export interface Harmed {
  readonly begunMs: number;
  /** From when on nothing outside of the library keeps writes to the node from going on: Patroni has a new primary, the network is back. */
  readonly healedMs: number;
}

export type Target = GroupName | 'all';

export interface Harm {
  readonly name: string;
  readonly times: number;
  /** In turn. */
  readonly targets: readonly Target[];
  /** Statements outside of transactions must not fail. */
  readonly spares: boolean;
  readonly run: (patroni: PatroniCluster, target: Target) => Promise<Harmed>;
}

const outageMs = 9_000;
const pauseMs = 4_000;

export const harms: readonly Harm[] = [
  { name: 'kill postmaster', times: 20, targets: groupNames, spares: false, run: ({ groups }, target) => killPrimary(groups[one(target)], { withPatroni: false }) },
  { name: 'kill postmaster + Patroni', times: 10, targets: groupNames, spares: false, run: ({ groups }, target) => killPrimary(groups[one(target)], { withPatroni: true }) },
  { name: 'switchover', times: 20, targets: groupNames, spares: true, run: switchOver },
  { name: 'etcd outage', times: 5, targets: ['all'], spares: false, run: outage },
  { name: 'replica paused', times: 5, targets: groupNames, spares: true, run: ({ groups }, target) => pauseReplica(groups[one(target)]) },
  { name: 'network cut', times: 5, targets: ['node-2'], spares: false, run: cutNetwork },
];

function one(target: Target): GroupName {
  if (target === 'all') throw new Error('this harm is done to one group');
  return target;
}

async function killPrimary(group: PatroniGroup, { withPatroni }: { readonly withPatroni: boolean }): Promise<Harmed> {
  const primary = await group.primary();
  const next = group.other(primary);
  const begunMs = performance.now();
  if (withPatroni) await primary.killPatroni();
  await primary.signalServer('SIGKILL', { withBackends: false });
  await takesWrites([next]);
  const healedMs = performance.now();
  if (withPatroni) primary.startPatroni();
  return { begunMs, healedMs };
}

async function switchOver({ cluster, groups }: PatroniCluster, target: Target): Promise<Harmed> {
  const group = groups[one(target)];
  const next = group.other(await group.primary());
  const begunMs = performance.now();
  const promoted = takesWrites([next]).then(() => performance.now());
  // Node 1 has Patronis in the catalog.
  await cluster.switchover(target === 'coordinator' ? target : groupNames.indexOf(one(target)), target === 'node-1' ? {} : { patroni: group.urls, to: next.name });
  return { begunMs, healedMs: await promoted };
}

/** Longer than the ttl: without etcd Patroni does not know that it may lead, so all primaries step down. */
async function outage({ etcd, groups }: PatroniCluster): Promise<Harmed> {
  const begunMs = performance.now();
  await etcd.kill();
  await delay(outageMs);
  await etcd.start();
  await Promise.all(groupNames.map((name) => takesWrites(groups[name].members)));
  return { begunMs, healedMs: performance.now() };
}

async function pauseReplica(group: PatroniGroup): Promise<Harmed> {
  const replica = group.other(await group.primary());
  const begunMs = performance.now();
  await replica.signalServer('SIGSTOP', { withBackends: true });
  await delay(pauseMs);
  await replica.signalServer('SIGCONT', { withBackends: true });
  return { begunMs, healedMs: performance.now() };
}

/** Nothing that the node's servers say arrives; then the connections are broken, and new ones work. */
async function cutNetwork({ proxies }: PatroniCluster): Promise<Harmed> {
  const begunMs = performance.now();
  await Promise.all(proxies.map((proxy) => proxy.mute()));
  await delay(pauseMs);
  for (const proxy of proxies) proxy.cut();
  return { begunMs, healedMs: performance.now() };
}

import { setTimeout as delay } from 'node:timers/promises';
import { settle } from '../soak/settle.ts';
import type { Harm, Target } from './harms.ts';
import { groupNames, type PatroniCluster } from './patroni-cluster.ts';
import { pollUntil } from './poll-until.ts';
import { plainWriteMs } from './plain-write.ts';
import type { SingleWrites } from './single-writes.ts';
import type { ReadTally, TokenReads } from './token-reads.ts';

/** A row of the table. Times in milliseconds. */
export interface TrialResult {
  readonly harm: string;
  readonly target: Target;
  /** Until Patroni had a new primary, or the network was back. */
  readonly healedMs: number;
  /** From then until a write to the target was acknowledged. */
  readonly resumedMs: number;
  /** The same of a plain connection, to whichever server takes writes: until there is a replica for synchronous commits, or Patroni goes on without. */
  readonly plainMs: number;
  readonly acknowledged: number;
  /** Statements outside of transactions, by SQLSTATE. */
  readonly failed: ReadonlyMap<string, number>;
  /** Of readers on replicas, with tokens. */
  readonly reads: ReadTally;
  readonly objections: readonly string[];
}

/** What runs beside the harm. */
export interface Workload {
  readonly writes: SingleWrites;
  readonly readers: TokenReads;
}

const calmMs = 700;
const resumedMsMax = 1_000;

/** Writes of single rows for a while, the harm, writes again; then all must be there that was acknowledged, once. */
export async function runTrial(patroni: PatroniCluster, { writes, readers }: Workload, { harm, target }: { readonly harm: Harm; readonly target: Target }): Promise<TrialResult> {
  await Promise.all([writes.start(), readers.start()]);
  await delay(calmMs);
  const targets = target === 'all' ? groupNames : [target];
  const { begunMs, healedMs } = await harm.run(patroni, target);
  const plain = Promise.all(targets.map((name) => plainWriteMs(patroni.groups[name].members)));
  await pollUntil(`writes to ${target} go on after "${harm.name}"`, () => groupNames.every((name) => writes.resumedMs(name, healedMs) !== undefined), { everyMs: 20 });
  await delay(calmMs);
  const [reads] = await Promise.all([readers.stop(), writes.stop()]);
  await Promise.all(groupNames.map((name) => patroni.groups[name].healthy()));
  await settle(patroni.cluster);
  const { lost, doubled, undead } = await writes.compare();
  const plainMs = Math.max(...(await plain)) - healedMs;
  const resumedMs = Math.max(...targets.map((name) => (writes.resumedMs(name, healedMs) ?? Infinity) - healedMs));
  const failed = writes.failures();
  const objections = [
    ...(lost > 0 ? [`${lost} acknowledged writes lost`] : []),
    ...(doubled > 0 ? [`${doubled} writes doubled`] : []),
    ...(undead > 0 ? [`${undead} writes failed and are there`] : []),
    ...(resumedMs > resumedMsMax ? [`writes resumed late (a plain connection's after ${plainMs.toFixed(0)} ms)`] : []),
    ...[...failed].flatMap(([code, count]) => (harm.spares || code !== '08007' ? [`${count} failed with ${code}`] : [])),
    ...(reads.reads === 0 ? ['nothing was read'] : []),
    ...(reads.old > 0 ? [`${reads.old} reads with a token showed less`] : []),
    ...(reads.wrong > 0 ? [`${reads.wrong} counters are wrong`] : []),
    ...[...reads.failed].flatMap(([code, count]) => (harm.spares || code !== '08006' ? [`${count} reads failed with ${code}`] : [])),
  ];
  return { harm: harm.name, target, healedMs: healedMs - begunMs, resumedMs, plainMs, acknowledged: writes.acknowledged, failed, reads, objections };
}

import { setTimeout as delay } from 'node:timers/promises';
import { settle } from '../soak/settle.ts';
import type { Harm, Target } from './harms.ts';
import { groupNames, type PatroniCluster } from './patroni-cluster.ts';
import { pollUntil } from './poll-until.ts';
import type { SingleWrites } from './single-writes.ts';

/** A row of the table. Times in milliseconds. */
export interface TrialResult {
  readonly harm: string;
  readonly target: Target;
  /** Until Patroni had a new primary, or the network was back. */
  readonly healedMs: number;
  /** From then until a write to the target was acknowledged. */
  readonly resumedMs: number;
  readonly acknowledged: number;
  /** Statements outside of transactions, by SQLSTATE. */
  readonly failed: ReadonlyMap<string, number>;
  readonly objections: readonly string[];
}

const calmMs = 700;
const resumedMsMax = 1_000;

/** Writes of single rows for a while, the harm, writes again; then all must be there that was acknowledged, once. */
export async function runTrial(patroni: PatroniCluster, writes: SingleWrites, { harm, target }: { readonly harm: Harm; readonly target: Target }): Promise<TrialResult> {
  await writes.start();
  await delay(calmMs);
  const { begunMs, healedMs } = await harm.run(patroni, target);
  await pollUntil(`writes to ${target} go on after "${harm.name}"`, () => groupNames.every((name) => writes.resumedMs(name, healedMs) !== undefined), { everyMs: 20 });
  await delay(calmMs);
  await writes.stop();
  await Promise.all(groupNames.map((name) => patroni.groups[name].healthy()));
  await settle(patroni.cluster);
  const { lost, doubled, undead } = await writes.compare();
  const resumedMs = Math.max(...(target === 'all' ? groupNames : [target]).map((name) => (writes.resumedMs(name, healedMs) ?? Infinity) - healedMs));
  const failed = writes.failures();
  const objections = [
    ...(lost > 0 ? [`${lost} acknowledged writes lost`] : []),
    ...(doubled > 0 ? [`${doubled} writes doubled`] : []),
    ...(undead > 0 ? [`${undead} writes failed and are there`] : []),
    ...(resumedMs > resumedMsMax ? ['writes resumed late'] : []),
    ...[...failed].flatMap(([code, count]) => (harm.spares || code !== '08007' ? [`${count} failed with ${code}`] : [])),
  ];
  return { harm: harm.name, target, healedMs: healedMs - begunMs, resumedMs, acknowledged: writes.acknowledged, failed, objections };
}

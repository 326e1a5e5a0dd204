import type { Pool } from 'pg';
import type { Cluster } from '../../src/index.ts';
import { askSide, compareAnswers } from './run-stop.ts';
import { stopText } from './show-stop.ts';
import type { Stop } from './stops.ts';

export interface TourSides {
  readonly plain: Pool;
  readonly cluster: Cluster;
}

/** Shows every stop on standard output. Returns the titles of those whose answers differ. */
export async function runTour(stops: readonly Stop[], { plain, cluster }: TourSides, signal: AbortSignal): Promise<string[]> {
  const differing: string[] = [];
  for (const stop of stops) {
    signal.throwIfAborted();
    const plan = await planOf(cluster, stop);
    const answers = { plain: await askSide(plain, stop), cluster: await askSide(cluster, stop) };
    const difference = compareAnswers(stop, answers.plain, answers.cluster);
    if (difference !== undefined) differing.push(stop.title);
    process.stdout.write(`${stopText({ stop, ...answers, plan, difference })}\n`);
  }
  return differing;
}

/** A statement without a plan still is a stop: the answer will say why. */
async function planOf(cluster: Cluster, stop: Stop): Promise<string> {
  try {
    return (await cluster.explain(stop.sql, [...stop.values])).text;
  } catch (error) {
    return `no plan: ${error instanceof Error ? error.message : String(error)}`;
  }
}

import { setTimeout as wait } from 'node:timers/promises';
import type { Random } from '../oracle/random.ts';
import type { SoakServers } from './soak-servers.ts';

export interface ChaosOptions {
  readonly random: Random;
  /** Kills an application process, and starts another. False if there is none to be killed. */
  readonly killProcess?: (() => boolean) | undefined;
  /** Whether servers are killed, too. */
  readonly serverKills: boolean;
}

export interface Harm {
  cuts: number;
  processKills: number;
  serverKills: number;
}

/** Does harm, one thing after the other, until the signal aborts; then everything is up again. */
export async function doHarm({ servers, proxies }: SoakServers, { random, killProcess, serverKills }: ChaosOptions, signal: AbortSignal): Promise<Harm> {
  const harm: Harm = { cuts: 0, processKills: 0, serverKills: 0 };
  const cut = (): void => {
    random.pick(proxies).cutAfter(random.int(1, 300));
    harm.cuts += 1;
  };
  const killOne = (): void => {
    if (killProcess?.() === true) harm.processKills += 1;
  };
  const killServer = async (): Promise<void> => {
    const server = random.pick(servers);
    server.kill();
    harm.serverKills += 1;
    await wait(random.int(0, 500));
    await server.restart();
  };
  const choices = [[12, cut], ...(killProcess === undefined ? [] : [[3, killOne] as const]), ...(serverKills ? [[1, killServer] as const] : [])] as const;
  while (!signal.aborted) {
    await random.weighted<() => void | Promise<void>>(choices)();
    await wait(random.int(100, 1_200));
  }
  for (const proxy of proxies) proxy.heal();
  return harm;
}

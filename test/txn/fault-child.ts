import { openFaultPools } from './fault-servers.ts';
import { doFaultWork, type FaultWork } from './fault-work.ts';

export interface FaultTask {
  readonly connectionStrings: readonly string[];
  readonly work: FaultWork;
  /** Where it stops for ever. */
  readonly step: string;
}

/** A process that is to be killed: it does its work up to a step, says so, and waits. */
process.once('message', (message) => {
  const { connectionStrings, work, step } = message as FaultTask;
  const stop = async (reached: string): Promise<void> => {
    if (reached !== step) return;
    process.send?.('reached');
    await new Promise(() => undefined);
  };
  doFaultWork(openFaultPools(connectionStrings, 'child'), work, stop).catch((error: unknown) => process.send?.(String(error)));
});

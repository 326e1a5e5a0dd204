import { Cluster } from '../../../src/index.ts';
import { type LoadOptions, startLoad } from '../../move/writing-load.ts';
import { skewedTenants } from './skewed-tenants.ts';

/** What the process is to do until it is told to stop. */
export interface WritingTask extends Pick<LoadOptions, 'tenants' | 'writers' | 'from'> {
  readonly connectionString: string;
  readonly seed: number;
}

/** What it says at its end. */
export interface WritingReport {
  readonly expected: readonly string[];
  readonly writes: number;
  readonly failures: readonly string[];
}

/** A process of the application, with its own catalog: it writes from the first message to the second, and then tells what must be there. */
process.once('message', (message) => {
  const { connectionString, seed, ...load } = message as WritingTask;
  const cluster = new Cluster({ connectionString, recoveryIntervalMs: 0 });
  const writing = startLoad([cluster], { ...load, tenantOf: skewedTenants(seed, load.tenants) });
  process.once('message', () => {
    void writing.stop().then(async (expected) => {
      await cluster.end();
      process.send?.({ expected, writes: writing.writes(), failures: writing.failures.map(String) } satisfies WritingReport, () => process.disconnect());
    });
  });
});

// Where the other process has died, nobody asks for its report.
process.once('disconnect', () => process.exit());

import { Cluster } from '../../src/index.ts';

export interface RebalanceTask {
  readonly coordinator: string;
  /** Of a move; the process stops for ever when one comes to it. */
  readonly state: string;
}

/** A process that is to be killed: it drains node 1 up to a state of some move, says so, and does nothing more. */
process.once('message', (message) => {
  const { coordinator, state } = message as RebalanceTask;
  const cluster = new Cluster({ connectionString: coordinator, recoveryIntervalMs: 0 });
  const onProgress = (event: { readonly state: string }): void => {
    if (event.state !== state) return;
    process.send?.('reached');
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  };
  cluster.drainNode(1, { onProgress }).then(() => process.send?.('done'), (error: unknown) => process.send?.(String(error)));
});

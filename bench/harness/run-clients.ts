import { median } from './statistics.ts';

export interface ClientsRun {
  readonly clients: number;
  readonly durationMs: number;
  /** One operation. `sequence` counts over all clients of this run, from 0. */
  readonly operation: (sequence: number) => Promise<unknown>;
}

export interface ClientsOutcome {
  readonly operationsPerSecond: number;
  readonly medianMs: number;
}

/** So many clients, each starting its next operation when the last one is done, until the time is over. At least one each. */
export async function runClients(run: ClientsRun): Promise<ClientsOutcome> {
  const latenciesMs: number[] = [];
  let sequence = 0;
  const startedMs = performance.now();
  const deadlineMs = startedMs + run.durationMs;
  const client = async (): Promise<void> => {
    do {
      const beganMs = performance.now();
      await run.operation(sequence++);
      latenciesMs.push(performance.now() - beganMs);
    } while (performance.now() < deadlineMs);
  };
  const outcomes = await Promise.allSettled(Array.from({ length: run.clients }, client));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  const seconds = (performance.now() - startedMs) / 1000;
  return { operationsPerSecond: latenciesMs.length / seconds, medianMs: median(latenciesMs) };
}

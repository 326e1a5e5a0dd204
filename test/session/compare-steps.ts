import type { PoolClient } from 'pg';
import { expect } from 'vitest';
import type { ClusterAndPlain } from '../coordinator/start-cluster.ts';

/** A statement of a session, or a text of several. */
export type Step = string | { readonly text: string; readonly values: unknown[] };

/** What one statement gave: rows and tag, or SQLSTATE and message. */
export async function step(client: PoolClient, given: Step): Promise<unknown> {
  const { text, values } = typeof given === 'string' ? { text: given, values: undefined } : given;
  try {
    const results: unknown = await client.query(text, values as never);
    const all = (Array.isArray(results) ? results : [results]) as { command: string; rowCount: number | null; rows: unknown[] }[];
    return all.map(({ command, rowCount, rows }) => ({ command, rowCount, rows }));
  } catch (error) {
    const { code, message, position, constraint, detail } = error as { code?: string; message: string; position?: string; constraint?: string; detail?: string };
    return { code, message, position, constraint, detail: code === '23505' ? undefined : detail };
  }
}

/** Runs the steps in a session of the cluster and in one of a plain PostgreSQL; every step must give the same, notices too. */
export async function compareSteps(pair: ClusterAndPlain, ...steps: readonly Step[]): Promise<void> {
  const cluster = await pair.cluster.connect();
  const plain = await pair.plain.connect();
  const notices: { cluster: unknown[]; plain: unknown[] } = { cluster: [], plain: [] };
  const onCluster = ({ code, message }: { code?: string | undefined; message?: string | undefined }): unknown => notices.cluster.push([code, message]);
  const onPlain = ({ code, message }: { code?: string | undefined; message?: string | undefined }): unknown => notices.plain.push([code, message]);
  cluster.on('notice', onCluster);
  plain.on('notice', onPlain);
  try {
    for (const one of steps) expect({ step: one, got: await step(cluster, one) }).toEqual({ step: one, got: await step(plain, one) });
    expect(notices.cluster).toEqual(notices.plain);
  } finally {
    cluster.release(true);
    plain.release(true);
  }
}

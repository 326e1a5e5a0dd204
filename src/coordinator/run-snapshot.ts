import { assert } from '../base/assert.ts';
import { SessionClient } from '../session/session-client.ts';
import type { ClusterClient, SignalOption } from './pool-interface.ts';
import { inTransaction } from './run-transaction.ts';

/** The signal counts until the snapshot is taken; pass it on to what the work asks. */
export interface SnapshotOptions extends SignalOption {
  /** True where not given. */
  readonly readOnly?: boolean | undefined;
}

/** Runs `work` in a REPEATABLE READ transaction with a consistent snapshot of all servers. */
export async function runSnapshot<T>(connect: () => Promise<ClusterClient>, work: (client: ClusterClient) => Promise<T>, { signal, readOnly = true }: SnapshotOptions): Promise<T> {
  return inTransaction(await connect(), (client) => {
    assert(client instanceof SessionClient, 'a cluster gives a client of another kind');
    return client.beginSnapshot(`ISOLATION LEVEL REPEATABLE READ, READ ${readOnly ? 'ONLY' : 'WRITE'}`, signal);
  }, work);
}

import { assert } from '../base/assert.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import type { CatalogChange } from './change-catalog.ts';

interface CopiedHere {
  readonly source: NodeConnection;
  /** What COPY reads there, in parentheses or by its name. */
  readonly from: string;
  /** COPY … FROM STDIN in the coordinator database. */
  readonly into: string;
  /** The message of the assertion that fails when rows were sent and none was taken. */
  readonly noneTaken: string;
}

/** Copies rows of a shard into a table of the coordinator database, in the change's transaction. */
export async function copyToCoordinator(change: CatalogChange, { source, from, into, noneTaken }: CopiedHere): Promise<void> {
  const sink = await change.coordinator.copyIn(into, change);
  let bytes = 0;
  try {
    for await (const chunk of source.copyOut(`COPY ${from} TO STDOUT`, change)) {
      bytes += chunk.length;
      await sink.write(chunk);
    }
  } catch (error) {
    await sink.fail('reading the shard failed').catch(() => undefined);
    throw error;
  }
  const taken = await sink.end();
  assert(bytes === 0 || taken > 0, noneTaken);
}

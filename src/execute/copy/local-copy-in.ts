import { canceled, onAbort } from '../../base/abort.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import type { CopySource } from './copy-source.ts';
import { openCopySource } from './copy-source.ts';
import { Interrupt } from './interrupt.ts';

/** COPY FROM STDIN as it is, on one connection; resolves to the number of rows. The source is left when the server refuses or `signal` aborts. */
export async function localCopyIn(connection: NodeConnection, source: CopySource, { sql, signal, onNotice }: CallOptions & { readonly sql: string }): Promise<number> {
  const pieces = openCopySource(source);
  const interrupt = new Interrupt();
  using _abort = onAbort(signal, () => {
    if (signal !== undefined) interrupt.raise(canceled(signal));
  });
  try {
    const sink = await connection.copyIn(sql, { signal, onNotice });
    try {
      for (let piece = await interrupt.wait(pieces.next()); piece !== undefined; piece = await interrupt.wait(pieces.next())) await sink.write(piece);
    } catch (error) {
      await sink.fail(error instanceof Error ? error.message : 'the source failed').catch(() => undefined);
      throw error;
    }
    return await sink.end();
  } catch (error) {
    pieces.leave();
    throw error;
  }
}

import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type { Client } from 'pg';
import { from, to } from 'pg-copy-streams';

/** How a COPY ended: the rows it took, or what the caller would see of its error. */
export type CopyOutcome =
  | { readonly kind: 'rows'; readonly count: number }
  | { readonly kind: 'error'; readonly code: string | undefined; readonly message: string; readonly line: string | undefined };

/** COPY FROM STDIN on one server. */
export async function plainCopyIn(client: Client, sql: string, input: Buffer): Promise<CopyOutcome> {
  const stream = client.query(from(sql));
  try {
    await pipeline(Readable.from(input.length === 0 ? [] : [input]), stream);
    return { kind: 'rows', count: stream.rowCount };
  } catch (error) {
    await client.query('');
    return failed(error);
  }
}

/** COPY TO STDOUT on one server. */
export async function plainCopyOut(client: Client, sql: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of client.query(to(sql))) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** The context's line number counts, not what it quotes of the line. */
export function failed(error: unknown): CopyOutcome {
  const { code, message, where } = error as { code?: string; message: string; where?: string };
  return { kind: 'error', code, message, line: /COPY \w+, line \d+/.exec(where ?? '')?.[0] };
}

import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { throwIfAborted } from '../base/abort.ts';

const pollMs = 10;
const statusLine = 7;

/**
 * Waits until the server accepts connections. False when it ended instead. It is the server itself that tells, in the eighth line
 * of its `postmaster.pid`. Throws `canceled`; has no deadline, because crash recovery may take any time.
 */
export async function awaitReady(
  server: { readonly pid: number; readonly ended: boolean },
  dataDirectory: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  while (!server.ended) {
    throwIfAborted(signal);
    if (await isReady(server.pid, dataDirectory)) return true;
    await delay(pollMs);
  }
  return false;
}

async function isReady(pid: number, dataDirectory: string): Promise<boolean> {
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  return Number(lines[0]) === pid && lines[statusLine]?.trim() === 'ready';
}

/** The end of a server's log, whole lines; empty when there is none. */
export async function logTail(logFile: string, bytesMax = 4_000): Promise<string> {
  const size = await stat(logFile).then(({ size: bytes }) => bytes, () => 0);
  if (size === 0) return '';
  await using file = await open(logFile, 'r');
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(bytesMax), position: Math.max(0, size - bytesMax) });
  const text = buffer.toString('utf8', 0, bytesRead);
  return (size > bytesMax ? text.slice(text.indexOf('\n') + 1) : text).trim();
}

import type { MoveEvent } from '../move/run-move.ts';

/** What a bar is drawn of: an event of a move, and the shard group where it is known. */
type DrawnEvent = MoveEvent & { readonly shardGroupId?: number };

const barWidth = 20;

/** One line of a move, aligned with those of others: its state, a bar while rows are copied, and how fast it is. */
export function progressLine({ jobId, shardGroupId, state, bytesCopied, bytesTotal, bytesPerSecond, rowsPerSecond, changesPerSecond, lagMs, etaMs }: DrawnEvent): string {
  const name = shardGroupId === undefined ? `job ${jobId}` : `shard group ${shardGroupId}`;
  const done = bytesTotal === undefined || bytesTotal === 0 || bytesCopied === undefined ? 0 : Math.min(bytesCopied / bytesTotal, 1);
  const full = state === 'copy' ? Math.floor(done * barWidth) : ['preflight', 'register', 'create'].includes(state) ? 0 : barWidth;
  const figures = state === 'copy'
    ? [bytesCopied === undefined ? '' : megabytes(bytesCopied), bytesPerSecond === undefined ? '' : `${megabytes(bytesPerSecond)}/s`, rowsPerSecond === undefined ? '' : `${rowsPerSecond} rows/s`, etaMs === undefined ? '' : `${Math.ceil(etaMs / 1_000)} s left`]
    : state === 'catch_up' ? [changesPerSecond === undefined ? '' : `${changesPerSecond} changes/s`, lagMs === undefined ? '' : `lag ${lagMs} ms`] : [];
  return `${name.padEnd(18)} ${state.padEnd(9)} [${'#'.repeat(full)}${'.'.repeat(barWidth - full)}] ${figures.filter((figure) => figure !== '').join(', ')}`.trimEnd();
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/**
 * For `onProgress` of moves and rebalances: draws a line for each move on a terminal, over and over. Where the stream is no terminal nothing is written.
 *
 * ```ts
 * await cluster.rebalance({ onProgress: terminalProgress() });
 * ```
 */
export function terminalProgress(stream: { readonly isTTY?: boolean; write(text: string): unknown } = process.stderr): (event: DrawnEvent) => void {
  const lines = new Map<string, string>();
  return (event) => {
    if (stream.isTTY !== true) return;
    // Back to the first line; each line is cleared before it is written.
    const back = lines.size === 0 ? '' : `\u001B[${lines.size}A`;
    lines.set(event.jobId, progressLine(event));
    stream.write(`${back}${[...lines.values()].map((line) => `\u001B[2K${line}\n`).join('')}`);
  };
}

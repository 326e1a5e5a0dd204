import { expect, test } from 'vitest';
import { progressLine, terminalProgress } from '../../src/coordinator/terminal-progress.ts';
import { ProgressMeter } from '../../src/move/progress-rates.ts';

test('rates are of the last seconds, and begin anew with a step', () => {
  const meter = new ProgressMeter();
  expect(meter.rates({ bytesTotal: 10_000, bytesCopied: 0 }, 1_000)).toEqual({});
  expect(meter.rates({ bytesTotal: 10_000, bytesCopied: 2_000 }, 2_000)).toEqual({ bytesPerSecond: 2_000, etaMs: 4_000 });
  expect(meter.rates({ bytesTotal: 10_000, bytesCopied: 2_000 }, 7_000)).toEqual({ bytesPerSecond: 0 });
  expect(meter.rates({ bytesTotal: 10_000, bytesCopied: 1_000 }, 8_000)).toEqual({});
  expect(meter.rates({ bytesTotal: 10_000, bytesCopied: 12_000, rowsCopied: 90, changesApplied: 30 }, 9_000)).toEqual({ bytesPerSecond: 11_000, rowsPerSecond: 90, changesPerSecond: 30, etaMs: 0 });
});

test('lines of moves are aligned', () => {
  const lines = [
    progressLine({ jobId: '7', state: 'preflight' }),
    progressLine({ jobId: '7', shardGroupId: 12, state: 'copy', bytesTotal: 20e6, bytesCopied: 5e6, bytesPerSecond: 4e6, rowsPerSecond: 16_000, etaMs: 3_750 }),
    progressLine({ jobId: '7', shardGroupId: 12, state: 'catch_up', bytesTotal: 20e6, bytesCopied: 18e6, changesPerSecond: 40_000, lagMs: 12 }),
    progressLine({ jobId: '7', shardGroupId: 12, state: 'done' }),
  ];
  expect(lines).toEqual([
    'job 7              preflight [....................]',
    'shard group 12     copy      [#####...............] 5.0 MB, 4.0 MB/s, 16000 rows/s, 4 s left',
    'shard group 12     catch_up  [####################] 40000 changes/s, lag 12 ms',
    'shard group 12     done      [####################]',
  ]);
});

test('a terminal shows a line for each move; anything else nothing', () => {
  let written = '';
  const onTerminal = terminalProgress({ isTTY: true, write: (text) => (written += text) });
  onTerminal({ jobId: '1', state: 'preflight' });
  onTerminal({ jobId: '2', state: 'preflight' });
  written = '';
  onTerminal({ jobId: '1', state: 'done' });
  expect(written).toBe(`\u001B[2A\u001B[2K${progressLine({ jobId: '1', state: 'done' })}\n\u001B[2K${progressLine({ jobId: '2', state: 'preflight' })}\n`);
  terminalProgress({ write: () => expect.unreachable() })({ jobId: '1', state: 'done' });
});

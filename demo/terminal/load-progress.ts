import { Presets, SingleBar } from 'cli-progress';
import { duration, wholeNumber } from './heading.ts';

/** Shows how far the loading of a table is. */
export interface LoadProgress {
  update(rows: number): void;
  /** Says how many rows there were, and how fast. */
  done(rows: number): void;
}

/** A bar on a terminal; elsewhere one line when it is done. */
export function loadProgress(label: string, rowsExpected: number): LoadProgress {
  const startedMs = performance.now();
  const bar = process.stdout.isTTY ? startBar(label, rowsExpected) : undefined;
  return {
    update: (rows) => bar?.update(rows),
    done: (rows) => {
      bar?.stop();
      const elapsedMs = performance.now() - startedMs;
      const line = `${wholeNumber(rows).padStart(9)} rows in ${duration(elapsedMs).padStart(7)}  ${wholeNumber((rows / elapsedMs) * 1000).padStart(9)} rows/s`;
      process.stdout.write(`  ${label.padEnd(20)} ${line}\n`);
    },
  };
}

function startBar(label: string, rowsExpected: number): SingleBar {
  const bar = new SingleBar({ format: `  ${label.padEnd(20)} {bar} {percentage} %  {value} rows`, clearOnComplete: true, hideCursor: true }, Presets.shades_classic);
  bar.start(rowsExpected, 0);
  return bar;
}

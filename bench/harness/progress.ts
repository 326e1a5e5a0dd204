import pc from 'picocolors';

/** Says on standard error what is going on, so that standard output has the report alone. */
export interface Progress {
  /** A line of its own. */
  step(text: string): void;
  /** A line that the next one replaces, on a terminal; elsewhere nothing. */
  update(text: string): void;
}

export function stderrProgress(): Progress {
  const startedMs = performance.now();
  const terminal = process.stderr.isTTY;
  const clear = terminal ? '\r\u001B[2K' : '';
  return {
    step: (text) => {
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
      process.stderr.write(`${clear}${pc.dim(`${seconds} s`)}  ${text}\n`);
    },
    update: (text) => {
      if (terminal) process.stderr.write(`${clear}  ${text}`);
    },
  };
}

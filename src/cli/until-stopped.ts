/** Resolves at the first SIGINT or SIGTERM; at a second one the process ends at once. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let stopped = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (stopped) process.exit(signal === 'SIGINT' ? 130 : 143);
      stopped = true;
      resolve();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}

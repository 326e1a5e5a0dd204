const sampleEveryMs = 5;

/** Watches this process's resident set size while something runs. Megabytes of a million bytes. */
export function watchMemory(): { peakMB(): number } & Disposable {
  let peak = process.memoryUsage.rss();
  const sample = (): void => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  const timer = setInterval(sample, sampleEveryMs);
  return {
    peakMB: () => {
      sample();
      return peak / 1e6;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/start-test-servers.ts'],
    setupFiles: ['test/support/keep-failures-single.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A wait ends when it has what it waits for; how long that takes is no test's matter.
    expect: { poll: { timeout: 30_000 } },
    // Of a file's seconds its processes and servers compute for 0.8, on one core: three keep two cores busy.
    maxWorkers: 3,
    fileParallelism: true,
    // Files keep nothing in modules that others could find; loading the library anew for each of them takes two minutes in all.
    isolate: false,
    sequence: { sequencer: LongestFirst },
  },
});

import { defineConfig } from 'vitest/config';

/** Programs that are no packages of npm: `npm run test:clients` installs them from Debian. */
export default defineConfig({
  test: {
    include: ['test/clients/**/*.clients.ts'],
    globalSetup: ['test/support/start-test-servers.ts'],
    setupFiles: ['test/support/keep-failures-single.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});

import { spawn } from 'node:child_process';
import path from 'node:path';
import { buildEntries } from '../scripts/build-entries.ts';

/**
 * `npm run bench`: builds main.ts, and what it starts as processes, to JavaScript and runs that, as users would run the library. TypeScript loaded directly is slower: names are kept by a
 * call for each closure that is made.
 */
await using built = await buildEntries({ main: 'bench/main.ts', child: 'bench/children/main.ts', cli: 'src/cli/main.ts' });
// An interrupt reaches it as well, and it ends by itself.
process.on('SIGINT', () => undefined);
const bench = spawn(process.execPath, [path.join(built.directory, 'main.mjs'), ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = await new Promise<number>((resolve, reject) => {
  bench.once('error', reject);
  bench.once('exit', (code) => resolve(code ?? 1));
});

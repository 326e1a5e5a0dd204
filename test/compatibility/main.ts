import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compareUnits } from './compare-units.ts';
import { unitsOf } from './echoed-lines.ts';
import { type Answering, startPlain, startServed } from './places.ts';
import { type Counts, countsOf, differencesOf, type LayoutCounts, tableOf } from './report.ts';
import { runPsql } from './run-psql.ts';
import { filesInOrder } from './schedule.ts';
import { type Layout, scriptOf } from './script.ts';

const usage = 'usage: npm run compatibility -- [--files join,aggregates] [--layout undistributed|single-shard] [--output DIR] [--reuse] [--seconds 300] [--write]';
const layoutNames = ['undistributed', 'single-shard'] as const satisfies readonly Layout[];
const page = new URL('../../docs/compatibility.md', import.meta.url);

/**
 * Runs PostgreSQL's own regression SQL on one PostgreSQL, on a second one like it, and on a cluster behind a wire server, by psql, and compares what is printed. What differs stands in DIR, by layout and file. `--reuse`
 * takes what one PostgreSQL has answered in a former run with the same DIR. `--write` renews the table in docs/compatibility.md.
 */
async function main(): Promise<void> {
  const options = readOptions();
  const fetched = spawnSync(process.execPath, [fileURLToPath(new URL('../../scripts/fetch-regression-sql.mjs', import.meta.url))], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (fetched.status !== 0) process.exit(1);
  const sources = fetched.stdout.trim();
  const files = filesInOrder(readFileSync(join(sources, 'parallel_schedule'), 'utf8'), options.files);
  const work = workFolder(sources);
  try {
    const run = (name: string, layout: Layout, start: () => Promise<Answering>): Promise<void> => runAll({ files, sources, work, folder: join(options.output, name), layout, timeoutMs: options.timeoutMs }, start);
    if (!options.reuses) {
      await run('direct', 'undistributed', () => startPlain({ isShifted: false }));
      await run('control', 'undistributed', () => startPlain({ isShifted: true }));
    }
    const layouts = new Map<Layout, LayoutCounts>();
    for (const layout of options.layouts) {
      await run(layout, layout, startServed);
      layouts.set(layout, compareAll({ files, sources, output: options.output, layout }));
    }
    const table = tableOf(layouts);
    console.log(table);
    if (options.writes) writeFileSync(page, readFileSync(page, 'utf8').replace(/(<!-- counts -->\n)[^]*(<!-- end -->)/, (_, before: string, after: string) => `${before}\n${table}\n\n${after}`));
    console.log(`what differs: ${options.output}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What servers, which have a user of their own, read from and write to. */
function workFolder(sources: string): string {
  const work = join(tmpdir(), 'shardwright-compatibility');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, 'results'), { recursive: true });
  for (const folder of [work, join(work, 'results')]) chmodSync(folder, 0o777);
  cpSync(join(sources, 'data'), join(work, 'data'), { recursive: true });
  return work;
}

interface Runs {
  readonly files: readonly string[];
  readonly sources: string;
  readonly work: string;
  readonly folder: string;
  readonly layout: Layout;
  readonly timeoutMs: number;
}

async function runAll({ files, sources, work, folder, layout, timeoutMs }: Runs, start: () => Promise<Answering>): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await using started = await start();
  for (const file of files) {
    const lines = scriptOf(readFileSync(join(sources, 'sql', `${file}.sql`), 'latin1'), layout);
    const begun = performance.now();
    await runPsql(lines, { place: started.place, sources: work, path: join(folder, file), timeoutMs });
    console.error(`${folder} ${file}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  }
}

function compareAll({ files, sources, output, layout }: { readonly files: readonly string[]; readonly sources: string; readonly output: string; readonly layout: Layout }): LayoutCounts {
  const refusedNames = new Set<string>();
  const counts = new Map<string, Counts>();
  for (const file of files) {
    const script = readFileSync(join(sources, 'sql', `${file}.sql`), 'latin1');
    const units = (name: string, as: Layout): ReturnType<typeof unitsOf> => unitsOf(scriptOf(script, as), existsSync(join(output, name, `${file}.out`)) ? readFileSync(join(output, name, `${file}.out`), 'latin1') : '');
    const compared = compareUnits({ direct: units('direct', 'undistributed'), control: units('control', 'undistributed'), cluster: units(layout, layout) }, refusedNames);
    writeFileSync(join(output, layout, `${file}.diff`), differencesOf(compared));
    counts.set(file, countsOf(compared));
  }
  return counts;
}

function readOptions(): { files: readonly string[] | undefined; layouts: readonly Layout[]; output: string; reuses: boolean; timeoutMs: number; writes: boolean } {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { files: text, layout: text, output: text, reuse: { type: 'boolean' }, seconds: text, write: { type: 'boolean' } } });
  const layout = layoutNames.find((name) => name === values.layout);
  if (values.layout !== undefined && layout === undefined) throw new Error(usage);
  return {
    files: values.files?.split(','), layouts: layout === undefined ? layoutNames : [layout], output: values.output ?? mkdtempSync(join(tmpdir(), 'shardwright-differences-')),
    reuses: values.reuse === true, timeoutMs: Number(values.seconds ?? 300) * 1000, writes: values.write === true,
  };
}

await main();

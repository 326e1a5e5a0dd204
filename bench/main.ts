import { allBenches, benchGroups, selectBenches } from './benches/all-benches.ts';
import { describeCommit, describeMachine } from './harness/machine.ts';
import { parseOptions, type BenchOptions } from './harness/options.ts';
import { stderrProgress } from './harness/progress.ts';
import { reportJson } from './harness/report.ts';
import { reportTable } from './harness/report-table.ts';
import { runBenches } from './harness/run-benches.ts';

const usage = `npm run bench -- [names…] [--json] [--quick] [--rounds N] [--scale S] [--major 15|16|17|18]

Measures the cluster (three nodes, 32 shards) against one plain PostgreSQL, alternately, on the same rows.
${allBenches.map((bench) => `  ${bench.name.padEnd(16)}${bench.about}`).join('\n')}
${Object.entries(benchGroups).map(([name, benches]) => `  ${name.padEnd(16)}${benches.map((bench) => bench.name).join(' and ')}`).join('\n')}

Without names it runs all but TPC-H's. --scale is that of TPC-H's rows: 0.1 unless given, 0.02 with --quick.
`;

async function main(options: BenchOptions): Promise<void> {
  const interruption = new AbortController();
  process.once('SIGINT', () => interruption.abort(new Error('interrupted')));
  const benches = selectBenches(options.names);
  const results = await runBenches(benches, { options, progress: stderrProgress(), signal: interruption.signal });
  const report = {
    bench: benches.map((bench) => bench.name).join(','),
    commit: describeCommit(process.cwd()),
    machine: describeMachine(String(options.major)),
    results,
  };
  process.stdout.write(`${options.json ? reportJson(report) : reportTable(report)}\n`);
}

function readOptions(): BenchOptions | undefined {
  try {
    return parseOptions(process.argv.slice(2), [...allBenches.map((bench) => bench.name), ...Object.keys(benchGroups)]);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return undefined;
  }
}

const options = readOptions();
if (options === undefined) process.exitCode = 2;
else if (options.help) process.stdout.write(usage);
else await main(options);

import { Command } from 'commander';
import { Cluster } from '../coordinator/cluster.ts';
import type { AdoptedCitus } from '../coordinator/cluster-adoption.ts';

interface AdoptOptions {
  readonly from: string;
  readonly coordinator: string;
  readonly dryRun?: boolean;
  readonly release?: boolean;
}

/** `shardwright adopt-citus`: takes over the shards of a Citus cluster where they are. */
export function adoptCommand(): Command {
  return new Command('adopt-citus')
    .description('Take over the tables of a Citus cluster where they are. The coordinator database must have the same tables, empty (pg_dump --schema-only), and nobody may write through Citus any more.')
    .requiredOption('--from <url>', 'Citus\'s coordinator, whose metadata is read')
    .requiredOption('--coordinator <url>', 'the coordinator database of the cluster')
    .option('--dry-run', 'only say what would be done')
    .option('--release', 'the way back: forget the tables that were taken over; their shards stay where they are')
    .action(runAdopt);
}

async function runAdopt({ from, coordinator, dryRun, release }: AdoptOptions): Promise<void> {
  const cluster = new Cluster({ connectionString: coordinator });
  try {
    const done = await (release === true ? cluster.releaseCitus({ from, dryRun }) : cluster.adoptCitus({ from, dryRun }));
    console.log(report(done, `${dryRun === true ? 'would be ' : ''}${release === true ? 'given back' : 'taken over'}`));
  } finally {
    await cluster.end();
  }
}

/** A table of tables, and the nodes. */
function report({ nodes, tables }: AdoptedCitus, done: string): string {
  const rows = tables.map(({ schema, name, kind, distributionColumn, shardCount }) => [`${schema}.${name}`, kind, distributionColumn ?? '', String(shardCount)]);
  const head = ['table', 'kind', 'column', 'shards'];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string => cells.map((cell, i) => (i === 3 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  ').trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line), '', `nodes: ${nodes.join(', ')}`, `${tables.length} tables ${done}`].join('\n');
}

import { bareCopy } from '../moves/bare-copy.ts';
import type { ChildOutcome, ChildTask } from './child-task.ts';
import { connect, type Connected } from './connect.ts';
import { copyIn } from './copy-in.ts';
import { copyOut } from './copy-out.ts';
import { watchMemory } from './peak-memory.ts';
import { readStream, type RowsSeen } from './read-stream.ts';

const idleMs = 500;

async function perform(task: ChildTask): Promise<ChildOutcome> {
  const connected = await connect(task);
  try {
    using memory = watchMemory();
    const baseMB = memory.peakMB();
    const startedMs = performance.now();
    const seen = await work[task.kind](connected, task, startedMs);
    return { ...seen, totalMs: performance.now() - startedMs, baseMB, peakMB: memory.peakMB() };
  } finally {
    await connected.end();
  }
}

type Work = (connected: Connected, task: ChildTask, startedMs: number) => Promise<RowsSeen>;

const work: Readonly<Record<ChildTask['kind'], Work>> = {
  stream: (connected, task, startedMs) => readStream(connected, task.sql, startedMs),
  copy_out: (connected, task, startedMs) => copyOut(connected, task.sql, startedMs),
  copy_in: (connected, task) => copyIn(connected, task.sql, task.file ?? ''),
  move,
  bare_copy: async (_, { bareCopy: wish }) => {
    if (wish !== undefined) await bareCopy(wish);
    return { rows: 0, firstMs: 0 };
  },
  idle,
};

async function move(connected: Connected, task: ChildTask): Promise<RowsSeen> {
  if (connected.kind === 'cluster' && task.move !== undefined) await connected.cluster.moveShardGroup(task.move.shardId, { to: task.move.to });
  return { rows: 0, firstMs: 0 };
}

async function idle(): Promise<RowsSeen> {
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  return { rows: 0, firstMs: 0 };
}

const task = JSON.parse(process.argv[2] ?? '{}') as ChildTask;
try {
  process.stdout.write(JSON.stringify(await perform(task)));
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

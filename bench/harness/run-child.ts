import { spawn } from 'node:child_process';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { ChildOutcome, ChildTask } from '../children/child-task.ts';
import type { TestBed } from './test-bed.ts';

/**
 * Measures a task in a Node process of its own, so that its memory is its own. Rejects with what the process wrote to standard error when it fails.
 */
export async function runChild({ builtDirectory }: Pick<TestBed, 'builtDirectory'>, task: ChildTask): Promise<ChildOutcome> {
  const child = spawn(process.execPath, [path.join(builtDirectory, 'child.mjs'), JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  if (code !== 0) throw new Error(messageIn(errors) || `measuring process ended with code ${String(code)}`);
  return JSON.parse(output) as ChildOutcome;
}

/** The message that the process ended with, also when it failed while loading: then Node's own report is around it. */
function messageIn(errors: string): string {
  const lines = errors.trim().split('\n');
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines[0] ?? '';
}

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { ChildOutcome, ChildTask } from '../children/child-task.ts';

/**
 * Measures a task in a Node process of its own, so that its memory is its own. The script is plain JavaScript, made by
 * `buildEntries`. Rejects with what the process wrote to standard error when it fails.
 */
export async function runChild(script: string, task: ChildTask): Promise<ChildOutcome> {
  const child = spawn(process.execPath, [script, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'pipe'] });
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

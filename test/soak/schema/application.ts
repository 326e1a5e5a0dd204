import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { scriptArguments } from '../../support/child-script.ts';
import type { SchemaEvent } from './schema-event.ts';

const endMsMax = 150_000;
const lanesOfEach = 3;

/** The application: processes that have heard of no change until they meet it, or are told. */
export class Application {
  readonly events: SchemaEvent[] = [];
  readonly #running: ChildProcess[] = [];
  readonly #read: Promise<unknown>[] = [];

  constructor(connectionString: string, { seed, processes }: { readonly seed: number; readonly processes: number }) {
    for (let i = 0; i < processes; i += 1) {
      const child = spawn(process.execPath, [...scriptArguments(new URL('schema-process.ts', import.meta.url)), connectionString, String(seed + i * 100), String(1 + i * lanesOfEach), String(lanesOfEach)], { stdio: ['pipe', 'pipe', 'inherit'] });
      const lines = createInterface({ input: child.stdout });
      lines.on('line', (line) => this.events.push(JSON.parse(line) as SchemaEvent));
      this.#running.push(child);
      this.#read.push(once(lines, 'close'));
    }
  }

  /** Every process has looked at its rows. Throws when one does not end, or not in peace. */
  async end(): Promise<void> {
    for (const child of this.#running) child.stdin?.end();
    const tooLong = new AbortController();
    const late = wait(endMsMax, undefined, { signal: tooLong.signal }).then(() => { throw new Error('a process of the application does not end'); });
    late.catch(() => undefined);
    try {
      await Promise.race([Promise.all(this.#read), late]);
    } finally {
      tooLong.abort();
      for (const child of this.#running) child.kill('SIGKILL');
    }
  }
}

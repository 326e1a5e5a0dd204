import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { scriptArguments } from '../../support/child-script.ts';
import type { Change } from './random-change.ts';

export interface MigrationTask {
  readonly number: number;
  readonly change: Change;
}

export interface MigrationOutcome {
  readonly number: number;
  /** SQLSTATE; undefined where all was done. */
  readonly code: string | undefined;
  readonly message: string;
}

const changeMsMax = 120_000;

/** A process that changes definitions; another one takes its place when it is killed. */
export class Migrator {
  #child: ChildProcess | undefined;
  #lines: AsyncIterator<string> | undefined;
  /** It has changed something: one that is only starting is not worth killing. */
  #isAtWork = false;

  constructor(private readonly connectionString: string) {}

  /** Undefined where the process was killed before it said what came of it. */
  async run(task: MigrationTask): Promise<MigrationOutcome | undefined> {
    const lines = this.#started();
    this.#child?.stdin?.write(`${JSON.stringify(task)}\n`);
    const tooLong = new AbortController();
    const hangs = wait(changeMsMax, undefined, { signal: tooLong.signal }).then(() => { throw new Error(`a change hangs: ${task.change.texts.join('; ')}`); });
    hangs.catch(() => undefined);
    const { value } = await Promise.race([lines.next(), hangs]).finally(() => tooLong.abort());
    this.#isAtWork = value !== undefined;
    if (value !== undefined && (value as string).endsWith('}')) return JSON.parse(value as string) as MigrationOutcome;
    this.#child = undefined;
    this.#isAtWork = false;
    return undefined;
  }

  /** False if there is none at work. */
  kill(): boolean {
    return this.#isAtWork && this.#child?.kill('SIGKILL') === true;
  }

  stop(): void {
    this.#child?.kill('SIGKILL');
  }

  #started(): AsyncIterator<string> {
    if (this.#child !== undefined && this.#lines !== undefined) return this.#lines;
    this.#child = spawn(process.execPath, [...scriptArguments(new URL('migrating-process.ts', import.meta.url)), this.connectionString], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdin?.on('error', () => undefined);
    return (this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]());
  }
}

import { BackgroundWork } from '../base/background-work.ts';

/** What a `Cluster` does of itself: finishing what processes that died in a commit have left, finding deadlocks over several servers, carrying on jobs, looking after change feeds, storing the load. */
export type BackgroundTask = 'recovery' | 'deadlocks' | 'moves' | 'rebalances' | 'feeds' | 'load';

export type OnBackgroundError = (error: unknown, task: BackgroundTask) => void;

/** Those tasks that are done about so many milliseconds after they were done the last time; with 0 never. */
export class BackgroundTasks {
  readonly #works = new Map<BackgroundTask, BackgroundWork>();

  constructor(private readonly intervalMs: number, private readonly onError: OnBackgroundError) {}

  /** Does nothing when it runs already. */
  start(task: BackgroundTask, turn: () => Promise<unknown>): void {
    if (this.intervalMs === 0) return;
    let work = this.#works.get(task);
    if (work === undefined) this.#works.set(task, (work = new BackgroundWork(this.intervalMs, (error) => this.onError(error, task))));
    work.start(turn);
  }

  /** Something has happened that the task is for; see `BackgroundWork.hasten`. */
  hasten(task: BackgroundTask): void {
    this.#works.get(task)?.hasten();
  }

  /** Waits for turns under way. */
  async end(): Promise<void> {
    await Promise.all([...this.#works.values()].map((work) => work.end()));
  }
}

const doings: Readonly<Record<BackgroundTask, string>> = {
  recovery: 'finishing what processes that died in a commit have left',
  deadlocks: 'finding deadlocks over several servers',
  moves: 'carrying on moves',
  rebalances: 'carrying on rebalances',
  feeds: 'looking after change feeds',
  load: 'storing the load of shards',
};

/** Where nobody asks to hear of it, it is a warning of the process, as Node prints them. */
export function warnOfBackgroundError(error: unknown, task: BackgroundTask): void {
  process.emitWarning(`${doings[task]} has failed three times in a row: ${error instanceof Error ? error.message : String(error)}`, { type: 'ShardwrightWarning', code: `SHARDWRIGHT_${task.toUpperCase()}` });
}

import { setTimeout as wait } from 'node:timers/promises';
import type { Client, Pool, PoolClient } from 'pg';
import { present } from '../../src/base/assert.ts';
import { initialRows, type Interleaving, type Layout, parseStep, type Step } from './interleaving.ts';

export interface Place {
  readonly pool: Pick<Pool, 'query'> & { connect(): Promise<PoolClient> };
  /** A session on each of its servers, to see who waits there. */
  readonly observers: readonly Client[];
}

interface Line {
  readonly step: Step;
  outcome: string;
  /** It waited for another session. */
  waited: boolean;
  readonly done: Promise<void>;
  over: boolean;
}

/**
 * What came of each step, one line each, and at the end the rows that are left: `A read x: 10`. One that waits for another session says so; it is left alone until what it waits for is
 * over. After an error a session rolls back, and skips its other steps.
 */
export async function runInterleaving(place: Place, { steps }: Interleaving, { layout, before, modes }: { readonly layout: Layout; readonly before: string; readonly modes: string }): Promise<string[]> {
  await place.pool.query(initialRows(layout));
  const sessions = new Map<string, PoolClient>();
  const failed = new Set<string>();
  const lines: Line[] = [];
  try {
    for (const step of steps.map((line) => parseStep(line, layout))) {
      let client = sessions.get(step.session);
      if (client === undefined) {
        client = await place.pool.connect();
        sessions.set(step.session, client);
        if (before !== '') await client.query(before);
        await client.query(`BEGIN ${modes}`);
      }
      const running = lines.find((line) => line.step.session === step.session && !line.over);
      if (running !== undefined) throw new Error(`session ${step.session} cannot go on: it waits`);
      lines.push(failed.has(step.session) ? skipped(step) : start(client, step, failed));
      await settled(place, lines);
    }
    await Promise.all(lines.map(({ done }) => done));
    const { rows } = await place.pool.query<{ id: number; value: number }>('SELECT id, value FROM cells ORDER BY id');
    return [...lines.map(({ step, waited, outcome }) => `${step.session} ${step.text}: ${waited ? 'waits, then ' : ''}${outcome}`), `left: ${shown(rows)}`];
  } finally {
    for (const client of sessions.values()) client.release(true);
  }
}

function start(client: PoolClient, step: Step, failed: Set<string>): Line {
  const line: Line = {
    step, outcome: '', waited: false, over: false,
    done: client.query<{ id: number; value: number }>(step.sql).then(
      ({ rows, command, rowCount }) => (command === 'SELECT' ? shown(rows) : `${command} ${rowCount ?? ''}`.trim()),
      async (error: { readonly code?: string }) => {
        failed.add(step.session);
        await client.query('ROLLBACK');
        return `error ${error.code ?? 'unknown'}`;
      },
    ).then((outcome) => {
      line.outcome = outcome;
      line.over = true;
    }),
  };
  return line;
}

function skipped(step: Step): Line {
  return { step, outcome: 'skipped', waited: false, done: Promise.resolve(), over: true };
}

/** Waits until each step is over, or waits for a lock and nothing changes any more. */
async function settled(place: Place, lines: readonly Line[]): Promise<void> {
  for (let calm = 0; calm < 3;) {
    const pending = lines.filter(({ over }) => !over);
    if (pending.length === 0) return;
    await Promise.race([...pending.map(({ done }) => done), wait(5)]);
    const waiting = (await Promise.all(place.observers.map(waitingAt))).reduce((sum, count) => sum + count, 0);
    calm = waiting >= pending.length && pending.every(({ over }) => !over) ? calm + 1 : 0;
  }
  for (const line of lines) if (!line.over) line.waited = true;
}

async function waitingAt(observer: Client): Promise<number> {
  const { rows } = await observer.query<{ count: number }>(`SELECT count(DISTINCT l.pid)::int FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()`);
  return present(rows[0]).count;
}

function shown(rows: readonly { readonly id: number; readonly value: number }[]): string {
  return rows.length === 0 ? 'nothing' : rows.map(({ id, value }) => `${'xyzw'[id - 1] ?? '?'} = ${value}`).join(', ');
}

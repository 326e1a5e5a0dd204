import type { ClientActivity } from '../execute/computed/client-activity.ts';

/** A session as `pg_stat_activity` would show it. */
export interface SessionActivity {
  readonly processId: number;
  readonly role: string;
  readonly applicationName: string;
  readonly address: string;
  readonly startedAt: Date;
  readonly state: ClientActivity['state'];
  /** The statement that runs, or the last one. */
  readonly query: string;
  readonly stateSince: Date;
}

/** What is known of a session when it begins. */
interface Beginning {
  readonly processId: number;
  readonly role: string;
  readonly address: string;
  readonly port: number | undefined;
  readonly applicationName: () => string;
  readonly status: () => 'idle' | 'open' | 'failed';
}

interface Live {
  readonly about: Beginning;
  readonly startedMs: number;
  query: string;
  queryMs: number | undefined;
  transactionMs: number | undefined;
  isActive: boolean;
  sinceMs: number;
}

/** What the sessions of this server do. */
export class Activity {
  readonly #sessions = new Set<Live>();

  add(about: Beginning): { runs(text: string | undefined): void; end(): void } {
    const now = Date.now();
    const live: Live = { about, startedMs: now, query: '', queryMs: undefined, transactionMs: undefined, isActive: false, sinceMs: now };
    this.#sessions.add(live);
    return {
      runs: (text) => {
        live.isActive = text !== undefined;
        live.sinceMs = Date.now();
        if (text !== undefined) {
          live.query = text;
          live.queryMs = live.sinceMs;
        } else if (about.status() === 'idle') live.transactionMs = undefined;
        else live.transactionMs ??= live.queryMs;
      },
      end: () => void this.#sessions.delete(live),
    };
  }

  list(): SessionActivity[] {
    return this.clients().map(({ pid, role, applicationName, address, startedMs, state, query, stateSinceMs }) =>
      ({ processId: pid, role, applicationName, address, startedAt: new Date(startedMs), state, query, stateSince: new Date(stateSinceMs) }));
  }

  clients(): ClientActivity[] {
    return [...this.#sessions].map(({ about, startedMs, query, queryMs, transactionMs, isActive, sinceMs }) => ({
      pid: about.processId, role: about.role, applicationName: about.applicationName(), address: about.address, port: about.port, startedMs, query, queryMs, stateSinceMs: sinceMs,
      state: isActive ? 'active' : stateOf(about.status()), transactionMs: transactionMs ?? (isActive ? queryMs : undefined),
    }));
  }
}

function stateOf(status: 'idle' | 'open' | 'failed'): ClientActivity['state'] {
  return status === 'idle' ? 'idle' : status === 'open' ? 'idle in transaction' : 'idle in transaction (aborted)';
}

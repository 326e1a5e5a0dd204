/** A session as `pg_stat_activity` would show it. */
export interface SessionActivity {
  readonly processId: number;
  readonly role: string;
  readonly applicationName: string;
  readonly address: string;
  readonly startedAt: Date;
  readonly state: 'active' | 'idle';
  /** The statement that runs, or the last one. */
  readonly query: string;
  readonly stateSince: Date;
}

interface Live {
  about: Omit<SessionActivity, 'state' | 'query' | 'stateSince'>;
  query: string;
  isActive: boolean;
  sinceMs: number;
}

/** What the sessions of this server do. */
export class Activity {
  readonly #sessions = new Set<Live>();

  add(about: Omit<SessionActivity, 'startedAt' | 'state' | 'query' | 'stateSince'>): { runs(text: string | undefined): void; end(): void } {
    const live: Live = { about: { ...about, startedAt: new Date() }, query: '', isActive: false, sinceMs: Date.now() };
    this.#sessions.add(live);
    return {
      runs: (text) => {
        live.isActive = text !== undefined;
        if (text !== undefined) live.query = text;
        live.sinceMs = Date.now();
      },
      end: () => void this.#sessions.delete(live),
    };
  }

  list(): SessionActivity[] {
    return [...this.#sessions].map(({ about, query, isActive, sinceMs }) => ({ ...about, query, state: isActive ? 'active' : 'idle', stateSince: new Date(sinceMs) }));
  }
}

import type { Statement } from '../sql/parse.ts';

/** What ran within this time is taken to do so again. */
const briefMs = 20;

/**
 * Which statements have been brief so far. They run on connections that many share, where they cannot be cancelled: a client's request to is answered at once, and the statement is over a moment later. Others take a
 * connection of their own, on which a server can be told to stop.
 */
export class BriefStatements {
  readonly #known = new WeakMap<Statement, { tookMs: number; readonly isWatched: boolean }>();

  isBrief(statement: Statement): boolean {
    return (this.#known.get(statement)?.tookMs ?? Infinity) <= briefMs;
  }

  /** Whether nobody has to look at it before it runs, or after, besides. */
  isUnwatched(statement: Statement): boolean {
    const known = this.#known.get(statement);
    return known !== undefined && known.tookMs <= briefMs && !known.isWatched;
  }

  note(statement: Statement, tookMs: number): void {
    const known = this.#known.get(statement);
    if (known === undefined) this.#known.set(statement, { tookMs, isWatched: watched.test(statement.text) });
    else known.tookMs = tookMs;
  }
}

/** What may speak of settings or roles: see `RoleGuard`, and what clients are told of settings. */
const watched = /\b(set|reset|discard)\b|role|authorization|config|pg_settings/i;

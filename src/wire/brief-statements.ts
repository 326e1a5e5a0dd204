import type { Statement } from '../sql/parse.ts';

/** What ran within this time is taken to do so again, until its runs have become clearly longer: where they are about as long, it shall not change its way with each. */
const briefMs = 20;
const longMs = 2 * briefMs;
/** How much of what a run took longer than those before counts: others that were served first, or a pause of the process, make one run long, and not the statement. */
const weightOfLonger = 0.25;

/**
 * Which statements have been brief so far. They run on connections that many share, where they cannot be cancelled: a client's request to is answered at once, and the statement is over a moment later. Others take a
 * connection of their own, on which a server can be told to stop.
 */
export class BriefStatements {
  readonly #known = new WeakMap<Statement, KnownStatement>();

  isBrief(statement: Statement): boolean {
    return this.#known.get(statement)?.isBrief ?? false;
  }

  /** Whether nobody has to look at it before it runs, or after, besides. */
  isUnwatched(statement: Statement): boolean {
    const known = this.#known.get(statement);
    return known !== undefined && known.isBrief && !known.isWatched;
  }

  note(statement: Statement, tookMs: number): void {
    const known = this.#known.get(statement);
    if (known === undefined) this.#known.set(statement, { tookMs, isBrief: tookMs <= briefMs, isWatched: watched.test(statement.text) });
    else {
      known.tookMs = tookMs < known.tookMs ? tookMs : known.tookMs + (tookMs - known.tookMs) * weightOfLonger;
      known.isBrief = known.tookMs <= (known.isBrief ? longMs : briefMs);
    }
  }
}

interface KnownStatement {
  tookMs: number;
  isBrief: boolean;
  readonly isWatched: boolean;
}

/** What may speak of settings or roles: see `RoleGuard`, and what clients are told of settings. */
const watched = /\b(set|reset|discard)\b|role|authorization|config|pg_settings/i;

import type { Statement } from '../sql/parse.ts';

/** What ran within this time is taken to do so again. */
const briefMs = 20;

/**
 * Which statements have been brief so far. They run on connections that many share, where they cannot be cancelled: a client's request to is answered at once, and the statement is over a moment later. Others take a
 * connection of their own, on which a server can be told to stop.
 */
export class BriefStatements {
  readonly #took = new WeakMap<Statement, number>();

  isBrief(statement: Statement): boolean {
    return (this.#took.get(statement) ?? Infinity) <= briefMs;
  }

  note(statement: Statement, tookMs: number): void {
    this.#took.set(statement, tookMs);
  }
}

import type { FetchStmt } from '@pgsql/types';
import type { QueryResult } from 'pg';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { FieldDescriptor, RawRow } from '../cluster/node-connection.ts';
import { makeQueryResult } from '../cluster/query-result.ts';
import type { ResultOptions } from '../execute/statement-scope.ts';
import type { CursorRows, Movement } from './cursor-rows.ts';
import type { PreparedPlan } from './planner.ts';

/** A cursor over distributed tables. Those over local tables alone are the coordinator database's. */
export interface OpenCursor {
  readonly fields: readonly FieldDescriptor[];
  readonly rows: CursorRows;
  /** WITH HOLD: it outlives a transaction that commits. */
  readonly held: boolean;
  /** Whose rows are computed as they are fetched; undefined where all are kept. */
  readonly reads?: PreparedPlan | undefined;
}

export interface FetchOptions extends ResultOptions {
  readonly signal?: AbortSignal | undefined;
}

/** The cursors of one session, by name. */
export class SessionCursors {
  readonly #open = new Map<string, OpenCursor>();
  /** Opened in the transaction that is under way: gone if it is rolled back. */
  readonly #fresh = new Set<string>();
  /** The transaction's savepoints, with the cursors that were open at each. */
  #savepoints: readonly { readonly name: string; readonly open: ReadonlySet<OpenCursor> }[] = [];

  has(name: string): boolean {
    return this.#open.has(name);
  }

  declare(name: string, cursor: OpenCursor): void {
    this.#open.set(name, cursor);
    this.#fresh.add(name);
  }

  /** Throws 42P03 as PostgreSQL does. */
  checkFree(name: string): void {
    if (this.#open.has(name)) throw new ClusterError('invalidParameter', `cursor "${name}" already exists`, { sqlState: '42P03' });
  }

  /** FETCH and MOVE. */
  async fetch({ portalname = '', direction, howMany, ismove }: FetchStmt, options: FetchOptions): Promise<QueryResult> {
    const { rows: source, fields } = present(this.#open.get(portalname), 'cursor');
    const rows = await source.move(movementOf(direction, howMany), options.signal);
    if (ismove === true) return makeQueryResult({ command: 'MOVE', rowCount: rows.length, fields: [], rows: [] });
    return makeQueryResult({ command: 'FETCH', rowCount: rows.length, fields, rows, ...options });
  }

  /** What a FETCH of it, or the like, may run. */
  readBy(name: string): PreparedPlan | undefined {
    return this.#open.get(name)?.reads;
  }

  /** The columns of an open one. */
  fieldsOf(name: string): readonly FieldDescriptor[] | undefined {
    return this.#open.get(name)?.fields;
  }

  /** The next rows; throws 34000 as PostgreSQL does when there is no such cursor. */
  next(name: string, rows: number, signal: AbortSignal | undefined): Promise<readonly RawRow[]> {
    const cursor = this.#open.get(name);
    if (cursor === undefined) throw new ClusterError('invalidParameter', `portal "${name}" does not exist`, { sqlState: '34000' });
    return cursor.rows.move({ direction: 'forward', rows }, signal);
  }

  async close(name: string): Promise<QueryResult> {
    await this.#drop([name]);
    return closed();
  }

  /** CLOSE ALL; whoever else has cursors closes those. */
  async closeAll(): Promise<void> {
    await this.#drop([...this.#open.keys()]);
  }

  savepoint(name: string): void {
    this.#savepoints = [...this.#savepoints, { name, open: new Set(this.#open.values()) }];
  }

  release(name: string): void {
    this.#savepoints = this.#savepoints.slice(0, Math.max(this.#savepointAt(name), 0));
  }

  /** Cursors that were declared behind the savepoint are gone; how far others have gone is not taken back. */
  async rollbackTo(name: string): Promise<void> {
    const index = this.#savepointAt(name);
    const before = this.#savepoints[index];
    if (before === undefined) return;
    this.#savepoints = this.#savepoints.slice(0, index + 1);
    await this.#drop([...this.#open].filter(([, cursor]) => !before.open.has(cursor)).map(([own]) => own));
  }

  #savepointAt(name: string): number {
    return this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
  }

  /** To be called before the transaction's connections go. */
  async endTransaction(outcome: 'commit' | 'rollback'): Promise<void> {
    this.#savepoints = [];
    if (this.#open.size === 0) return;
    const ended = [...this.#open].filter(([name, { held }]) => !held || (outcome === 'rollback' && this.#fresh.has(name)));
    await this.#drop(ended.map(([name]) => name));
    this.#fresh.clear();
  }

  async #drop(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const cursor = this.#open.get(name);
      this.#open.delete(name);
      this.#fresh.delete(name);
      // What goes wrong in closing does not matter: nobody reads on.
      await cursor?.rows.close().catch(() => undefined);
    }
  }
}

function closed(): QueryResult {
  return makeQueryResult({ command: 'CLOSE', rowCount: null, fields: [], rows: [] });
}

/** The parser's number for ALL is the largest integer. */
const allRows = 2_147_483_647;

function movementOf(direction: FetchStmt['direction'], howMany: FetchStmt['howMany']): Movement {
  const given = Number(howMany ?? 0);
  const rows = given >= allRows ? Infinity : given;
  switch (direction) {
    case 'FETCH_BACKWARD':
      return { direction: 'backward', rows };
    case 'FETCH_ABSOLUTE':
      return { direction: 'absolute', rows };
    case 'FETCH_RELATIVE':
      return { direction: 'relative', rows };
    default:
      return { direction: 'forward', rows };
  }
}

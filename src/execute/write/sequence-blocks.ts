import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { sqlStateOf } from '../../base/errors.ts';
import { at } from '../../base/assert.ts';
import { quoteLiteral } from '../../sql/identifiers.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import type { Draw } from '../../plan/drawn-values.ts';
import type { StatementScope } from '../statement-scope.ts';
import { runsOf, runsSql, type TakenRuns } from './sequence-runs.ts';

/** Where values of sequences are taken, by qualified and quoted names. */
export interface SequenceValues {
  /** The next `count` values, as text. */
  next(sequence: string, count: number): Promise<string[]>;
  /** The next value of each, in order; one may be named more than once. */
  nextOfEach(sequences: readonly string[]): Promise<string[]>;
  /** Values that the rows of one statement have, in the order in which these would have taken them: the last ones of sequences. */
  used(uses: readonly SequenceUse[]): void;
  /** Values of which servers use as many as they need: until `drew` tells, nobody knows which. */
  draw(scope: StatementScope, draw: Draw, count: number): Promise<TakenRuns>;
  /** A number that no other block of the session's has: what its transactions know blocks by. */
  nextBlock(): number;
  /** The last value that servers have used of each sequence, of which the order among each other is not known. */
  drew(last: readonly LastDrawn[]): void;
  /** Forgets values that were taken, and not given out. */
  forget(): void;
}

/** The last value of a sequence, by its OID, that a statement has used. */
export interface LastDrawn {
  readonly oid: number;
  readonly value: string;
}

export interface SequenceUse {
  /** `cluster`: one that `next` gave. `server`: an expression gave it that was `nextval` of the sequence alone, which it names in the caller's words. */
  readonly by: 'cluster' | 'server';
  readonly sequence: string;
  readonly value: string;
}

/** How often those of a process that take values for one role or another have been told to forget what they have. */
export interface Forgetting {
  times: number;
}

/** Values of one sequence. */
export interface TakenValues {
  readonly oid: number;
  readonly values: string[];
}

interface Block {
  /** The sequence's. */
  oid: number;
  values: string[];
  /** Grows with demand, so that a busy table asks seldom and an idle one wastes little. */
  size: number;
  filling: Promise<void> | undefined;
}

const sizeMin = 1;
const sizeMax = 1_000;

/** Runs a statement of ours on the coordinator database, outside any transaction of the caller. */
export type CoordinatorQuery = (text: string) => Promise<RawRow[]>;

/**
 * Values of the coordinator database's sequences, taken in blocks: each value is given out once by one process, in order; a
 * process that ends leaves a gap, as PostgreSQL's own CACHE does.
 */
export class SequenceBlocks {
  readonly #blocks = new Map<string, Block>();
  readonly node = coordinatorNodeId;
  readonly forgetting: Forgetting;
  #forgotten = 0;

  /** `ofIdentity`: where the cluster's own user takes values. A role may insert into a table without any right to the sequence of its identity column. What one of them forgets, all do. */
  constructor(
    private readonly query: CoordinatorQuery,
    private readonly ofIdentity?: Pick<SequenceBlocks, 'take' | 'takeRuns' | 'forgetting'>,
  ) {
    this.forgetting = ofIdentity?.forgetting ?? { times: 0 };
  }

  /** The next `count` values of a sequence (qualified and quoted). */
  async take(sequence: string, count: number): Promise<TakenValues> {
    if (this.#forgotten !== this.forgetting.times) this.#blocks.clear();
    this.#forgotten = this.forgetting.times;
    let block = this.#blocks.get(sequence);
    if (block === undefined) {
      block = { oid: 0, values: [], size: sizeMin, filling: undefined };
      this.#blocks.set(sequence, block);
    }
    const taken: string[] = [];
    while (taken.length < count) {
      const missing = count - taken.length;
      if (block.values.length === 0) {
        block.filling ??= this.#fill(sequence, block, missing);
        await block.filling;
      }
      for (const value of block.values.splice(0, missing)) taken.push(value);
    }
    return { oid: block.oid, values: taken };
  }

  /** Values, however many, of which none is kept here: what is not used is gone. */
  async takeRuns(sequence: string, count: number): Promise<TakenRuns> {
    try {
      return runsOf(await this.query(runsSql(quoteLiteral(sequence), count)));
    } catch (error) {
      return (await this.#fallback(sequence, error)).takeRuns(sequence, count);
    }
  }

  /** Who takes them for a role that has no right to. */
  async #fallback(sequence: string, error: unknown): Promise<Pick<SequenceBlocks, 'take' | 'takeRuns'>> {
    if (sqlStateOf(error) !== '42501' || this.ofIdentity === undefined || !(await this.#isOfIdentity(sequence))) throw error;
    return this.ofIdentity;
  }

  /** Forgets what is left, for all roles: after TRUNCATE … RESTART IDENTITY and setval, and where a name may mean another sequence. */
  forget(): void {
    this.forgetting.times += 1;
  }

  async #isOfIdentity(sequence: string): Promise<boolean> {
    const rows = await this.query(`SELECT 1 FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = ${quoteLiteral(sequence)}::pg_catalog.regclass AND deptype = 'i'`);
    return rows.length > 0;
  }

  async #fill(sequence: string, block: Block, needed: number): Promise<void> {
    try {
      const count = Math.max(needed, block.size);
      block.size = Math.min(Math.max(block.size * 2, needed), sizeMax);
      const rows = await this.query(
        `SELECT pg_catalog.nextval(s), s::pg_catalog.oid FROM pg_catalog.generate_series(1, ${count}), LATERAL (SELECT ${quoteLiteral(sequence)}::pg_catalog.regclass) AS named(s)`,
      );
      for (const row of rows) block.values.push(at(row, 0) ?? '');
      block.oid = Number(rows[0]?.[1]);
    } catch (error) {
      const { oid, values } = await (await this.#fallback(sequence, error)).take(sequence, needed);
      for (const value of values) block.values.push(value);
      block.oid = oid;
    } finally {
      block.filling = undefined;
    }
  }
}

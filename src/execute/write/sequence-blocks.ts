import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { at } from '../../base/assert.ts';
import { quoteLiteral } from '../../sql/identifiers.ts';
import type { RawRow } from '../../cluster/node-connection.ts';

interface Block {
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

  constructor(private readonly query: CoordinatorQuery) {}

  /** The next `count` values of a sequence (qualified and quoted), as text. */
  async next(sequence: string, count: number): Promise<string[]> {
    let block = this.#blocks.get(sequence);
    if (block === undefined) {
      block = { values: [], size: sizeMin, filling: undefined };
      this.#blocks.set(sequence, block);
    }
    const taken: string[] = [];
    while (taken.length < count) {
      const missing = count - taken.length;
      if (block.values.length === 0) {
        block.filling ??= this.#fill(sequence, block, missing);
        await block.filling;
      }
      taken.push(...block.values.splice(0, missing));
    }
    return taken;
  }

  /** The next value of each, in order; one may be named more than once. */
  async nextOfEach(sequences: readonly string[]): Promise<string[]> {
    const values = new Map<string, string[]>();
    for (const sequence of new Set(sequences)) values.set(sequence, await this.next(sequence, sequences.filter((other) => other === sequence).length));
    return sequences.map((sequence) => values.get(sequence)?.shift() ?? '');
  }

  /** Forgets what is left: after TRUNCATE … RESTART IDENTITY and setval. */
  forget(): void {
    this.#blocks.clear();
  }

  async #fill(sequence: string, block: Block, needed: number): Promise<void> {
    try {
      const count = Math.max(needed, block.size);
      block.size = Math.min(Math.max(block.size * 2, needed), sizeMax);
      const rows = await this.query(
        `SELECT pg_catalog.nextval(${quoteLiteral(sequence)}::pg_catalog.regclass) FROM pg_catalog.generate_series(1, ${count})`,
      );
      block.values.push(...rows.map((row) => at(row, 0) ?? ''));
    } finally {
      block.filling = undefined;
    }
  }
}

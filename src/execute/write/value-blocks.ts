import { at } from '../../base/assert.ts';
import { sqlStateOf } from '../../base/errors.ts';
import { firstDrawn } from '../../plan/drawn-values.ts';
import type { ShardTemplate } from '../../plan/shard-template.ts';
import { blockUsedUp, lacksNextval } from '../../store/node-schema.ts';
import type { StatementScope } from '../statement-scope.ts';
import type { SequenceValues } from './sequence-blocks.ts';
import { blockSql, cutRuns, lastOf, type TakenRuns } from './sequence-runs.ts';

/** Each attempt has so many times the values of the one before: all of them together do at most a third of the work for nothing. With eight times, an UPDATE of 200 000 rows in 32 shards took 2.4 million values and three times as long. */
const growth = 4;
/** For so many rows there are values at first: one is most likely where one shard is written; of each of several shards, more. */
const rowsOfOne = 1;
const rowsOfMany = 16;

/** The blocks of values that the tasks of one statement bring to their nodes. */
export class ValueBlocks {
  #taken: { readonly values: TakenRuns; readonly count: number }[] = [];

  /** `factor`: how many times as many values as at first. */
  constructor(
    private readonly sequences: SequenceValues,
    readonly factor: number,
  ) {}

  /** The values, by parameter number, of each of `count` tasks: those given, and a block of its own for each draw. */
  async forTasks(scope: StatementScope, { draws }: Pick<ShardTemplate, 'draws'>, { values, count }: { readonly values: readonly unknown[]; readonly count: number }): Promise<(readonly unknown[])[]> {
    if (draws.length === 0) return Array.from({ length: count }, () => values);
    const rows = this.factor * (count === 1 ? rowsOfOne : rowsOfMany);
    this.#taken = [];
    const texts: string[][] = [];
    for (const [slot, draw] of draws.entries()) {
      const size = draw.places * rows;
      const taken = await this.sequences.draw(scope, draw, count * size);
      this.#taken.push({ values: taken, count: count * size });
      texts.push(cutRuns(taken, { blocks: count, size }).map((block) => blockSql(block, { slot, id: this.sequences.nextBlock(), step: taken.step })));
    }
    return Array.from({ length: count }, (_, task) => withBlocks(values, texts.map((own) => at(own, task))));
  }

  /** For one task. */
  async forOne(scope: StatementScope, template: Pick<ShardTemplate, 'draws'>, values: readonly unknown[]): Promise<readonly unknown[]> {
    return at(await this.forTasks(scope, template, { values, count: 1 }), 0);
  }

  /** The one task there was has written so many rows. Where each took a value and none is left, the last of the block is the last that was used. */
  wrote({ draws }: Pick<ShardTemplate, 'draws'>, rows: number): void {
    if (draws.length === 0 || !draws.every(({ places, eachRow }, i) => eachRow && this.#taken[i]?.count === places * rows)) return;
    this.sequences.drew(this.#taken.map(({ values }) => ({ oid: values.oid, value: lastOf(values) })));
  }
}

function withBlocks(values: readonly unknown[], blocks: readonly string[]): readonly unknown[] {
  const sent = [...values];
  for (const [i, block] of blocks.entries()) sent[firstDrawn - 1 + i] = block;
  return sent;
}

/**
 * Runs a statement whose nodes take values of sequences, with more of them each time they were not enough. `work` is done again as a whole: in the session's transaction behind a savepoint, else it has left nothing.
 */
export async function withEnoughValues<T>({ scope, sequences, renewNodes }: BlockServices, work: (blocks: ValueBlocks) => Promise<T>): Promise<T> {
  let isRenewed = false;
  for (let factor = 1; ;) {
    const attempt = await scope.undoable();
    let outcome: T;
    try {
      outcome = await work(new ValueBlocks(sequences, factor));
    } catch (error) {
      const isOld: boolean = lacksNextval(error) && !isRenewed;
      if (sqlStateOf(error) !== blockUsedUp && !isOld) throw error;
      await attempt.undo();
      if (isOld) await renewNodes();
      else factor *= growth;
      isRenewed ||= isOld;
      continue;
    }
    await attempt.keep();
    return outcome;
  }
}

export interface BlockServices {
  readonly scope: StatementScope;
  readonly sequences: SequenceValues;
  /** Gives all nodes what an older version of this library has not given them. */
  readonly renewNodes: () => Promise<void>;
}

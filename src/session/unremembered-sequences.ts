import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { withConnection } from '../cluster/with-connection.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import type { SequenceBlocks } from '../execute/write/sequence-blocks.ts';
import type { TakenRuns } from '../execute/write/sequence-runs.ts';
import type { Draw } from '../plan/drawn-values.ts';
import { type Asking, type CurrentValues, SessionSequences, type StatementSequences } from './session-sequences.ts';

/** For statements that are each a session of their own: no value is the last one of any. */
export class UnrememberedSequences implements StatementSequences {
  #blocks = 0;

  constructor(
    private readonly blocks: SequenceBlocks,
    private readonly pools: NodePools,
  ) {}

  next(sequence: string, count: number): Promise<string[]> {
    return this.blocks.take(sequence, count).then(({ values }) => values);
  }

  nextOfEach(sequences: readonly string[]): Promise<string[]> {
    return this.#session().nextOfEach(sequences);
  }

  used(): void {}

  draw(scope: StatementScope, draw: Draw, count: number): Promise<TakenRuns> {
    return this.#session().draw(scope, draw, count);
  }

  nextBlock(): number {
    this.#blocks += 1;
    return this.#blocks;
  }

  drew(): void {}

  forget(): void {
    this.blocks.forget();
  }

  current(asking: Asking): Promise<CurrentValues | 'as_it_is'> {
    return this.#session().current(asking);
  }

  #session(): SessionSequences {
    return new SessionSequences({
      blocks: () => this.blocks,
      forget: () => this.forget(),
      checkUsage: () => Promise.resolve(),
      onKept: (work) => withConnection(this.pools.get(coordinatorNodeId), undefined, async (connection) => {
        await connection.query({ text: 'DISCARD SEQUENCES', simple: true });
        return work(connection);
      }),
    });
  }
}

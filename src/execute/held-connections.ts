import type { NodeId } from '../catalog/ids.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import type { Effect, StatementScope } from './statement-scope.ts';

/** Connections held over the life of a generator, which no callback can span. Release them when it ends, however it does. */
export class HeldConnections {
  readonly #done: (() => void)[] = [];
  readonly #ended: Promise<unknown>[] = [];

  constructor(private readonly scope: StatementScope) {}

  take(node: NodeId, effect: Effect = 'read'): Promise<NodeConnection> {
    return new Promise((resolve, reject) => {
      const ended = this.scope.withConnection(node, effect, (connection) => {
        resolve(connection);
        return new Promise<void>((done) => this.#done.push(done));
      });
      ended.catch(reject);
      this.#ended.push(ended);
    });
  }

  async release(): Promise<void> {
    for (const done of this.#done) done();
    await Promise.allSettled(this.#ended);
  }
}

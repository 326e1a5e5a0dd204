import { sqlStateOf } from '../base/errors.ts';
import { withMember } from '../base/with-member.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import type { StatementScope } from '../execute/statement-scope.ts';

/** What a statement has last taken of sequences: a value of some; null: of none; undefined where it cannot be told. */
export type Observed = string | null | undefined;

/**
 * Outside of transactions, for one statement of the coordinator database that is sent at once: the connection that it runs on is asked which value of a sequence it used last, in the same round trip, and forgets before what others have taken on it.
 */
export function observedScope(scope: StatementScope, observe: (observed: Observed) => void): StatementScope {
  const withConnection: StatementScope['withConnection'] = (node, effect, use) => {
    if (node !== coordinatorNodeId) return scope.withConnection(node, effect, use);
    return scope.withConnection(node, effect, async (connection) => {
      const forgotten = connection.query({ text: 'DISCARD SEQUENCES', simple: true }).then(() => true, () => false);
      const [used, observed] = await Promise.allSettled([use(connection), lastValue(connection)]);
      observe((await forgotten) && observed.status === 'fulfilled' ? observed.value : undefined);
      if (used.status === 'rejected') throw used.reason;
      return used.value;
    });
  };
  const runParsed: StatementScope['runParsed'] = (node, query, effect) =>
    node === coordinatorNodeId ? withConnection(node, effect, (connection) => connection.queryParsed(query, { signal: scope.signal, onNotice: scope.onNotice })) : scope.runParsed(node, query, effect);
  return withMember(withMember(scope, 'withConnection', withConnection), 'runParsed', runParsed);
}

async function lastValue(connection: NodeConnection): Promise<Observed> {
  try {
    return (await connection.query({ text: 'SELECT pg_catalog.lastval()' })).rows[0]?.[0] ?? undefined;
  } catch (error) {
    return sqlStateOf(error) === '55000' ? null : undefined;
  }
}

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

/** Without an error where there is none, which the server would write to its log at each write. */
const lastValueText = `DO $shardwright$ BEGIN
    PERFORM pg_catalog.set_config('shardwright.last_value', pg_catalog.lastval()::pg_catalog.text, true);
  EXCEPTION
    WHEN object_not_in_prerequisite_state THEN PERFORM pg_catalog.set_config('shardwright.last_value', 'none', true);
    WHEN insufficient_privilege THEN PERFORM pg_catalog.set_config('shardwright.last_value', '', true);
  END $shardwright$;
  SELECT pg_catalog.current_setting('shardwright.last_value')`;

async function lastValue(connection: NodeConnection): Promise<Observed> {
  const told = (await connection.query({ text: lastValueText, simple: true })).rows[0]?.[0] ?? '';
  return told === '' ? undefined : told === 'none' ? null : told;
}

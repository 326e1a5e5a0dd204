import type { QueryResult } from 'pg';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { ParsedQuery } from '../cluster/node-connection.ts';
import { admitted } from '../store/admission.ts';
import { bumpVersion } from '../store/catalog-changes.ts';
import type { StatementScope } from './statement-scope.ts';

/**
 * Runs a statement that gives a local relation triggers, rules, policies, defaults or another query, as a new version of the catalog in the same transaction: what processes know of code that relations run (`KnownCode`) is known of a version.
 * `shardMissing` where the catalog has changed meanwhile: what was taken for a local table may be distributed. Nothing is kept then.
 */
export function changeCode(scope: StatementScope, query: ParsedQuery): Promise<QueryResult> {
  return scope.atomically(async (transaction, options) => {
    const coordinator = await admitted(await transaction.join(coordinatorNodeId, 'write', options), options);
    const result = await coordinator.queryParsed(query, options);
    const version = await bumpVersion({ coordinator, signal: scope.signal }, []);
    if (version !== scope.snapshot.version + 1) throw new ClusterError('shardMissing', 'tables were changed by others in the meantime', { hint: 'Try it again.' });
    return result;
  });
}

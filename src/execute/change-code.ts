import type { QueryResult } from 'pg';
import { namedRelations } from '../analyze/analyze-statement.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { CallOptions, NodeConnection, ParsedQuery } from '../cluster/node-connection.ts';
import { quoteName } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import { admitted } from '../store/admission.ts';
import { bumpVersion } from '../store/catalog-changes.ts';
import type { StatementScope } from './statement-scope.ts';
import { watchedWork } from './watch-shells.ts';

/**
 * Runs a statement that gives a local relation triggers, rules, policies, defaults or another query, as a new version of the catalog in the same transaction: what processes know of code that relations run (`KnownCode`) is known of a version.
 * `shardMissing`, in a block a serialization failure (40001), where it was planned by an older catalog, and what was taken for a local table is distributed by now. Nothing is kept then.
 * `runsCode`: whether it may compute something at once (`ADD COLUMN … DEFAULT f()`); `unsupportedQuery` where that has used shells.
 */
export async function changeCode(scope: StatementScope, query: ParsedQuery, { statement: { node }, ...how }: CodeChange): Promise<QueryResult> {
  const runsCode = await how.runsCode;
  return scope.atomically(async (transaction, options) => {
    const coordinator = await admitted(await transaction.join(coordinatorNodeId, 'write', options), options);
    const run = (): Promise<QueryResult> => coordinator.queryParsed(query, options);
    const result = await (runsCode ? watchedWork(coordinator, { ...options, onNotice: scope.onNotice }, run) : run());
    const version = await bumpVersion({ coordinator, signal: scope.signal }, []);
    if (version !== scope.snapshot.version + 1 && ('ViewStmt' in node || (await namesDistributed(coordinator, node, options)))) throw outdated(scope);
    return result;
  });
}

export interface CodeChange {
  readonly statement: Statement;
  readonly runsCode: boolean | Promise<boolean>;
}

/** A table that is there cannot be distributed any more: the statement has locked it. */
async function namesDistributed(coordinator: NodeConnection, node: Statement['node'], options: CallOptions): Promise<boolean> {
  const names = namedRelations(node).map(({ schemaname, relname = '' }) => quoteName(schemaname, relname));
  const { rows } = await coordinator.query({ text: 'SELECT FROM shardwright.distributed_table WHERE relation::oid = ANY (SELECT pg_catalog.to_regclass(name)::oid FROM pg_catalog.unnest($1::text[]) AS name) LIMIT 1', values: [names] }, options);
  return rows.length > 0;
}

function outdated({ inTransaction }: StatementScope): ClusterError {
  return new ClusterError('shardMissing', 'tables were changed by others in the meantime', inTransaction ? { sqlState: '40001', hint: 'Roll back, and try the transaction again.' } : { hint: 'Try it again.' });
}

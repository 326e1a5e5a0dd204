import type { QueryResult } from 'pg';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { ParsedQuery } from '../cluster/node-connection.ts';
import { temporaryView } from '../plan/plan-utility.ts';
import type { ViewChange } from '../plan/statement-plan.ts';
import { quoteName } from '../sql/identifiers.ts';
import { bumpVersion } from '../store/catalog-changes.ts';
import type { StatementScope } from './statement-scope.ts';

/**
 * Runs a statement that creates, changes or drops views over distributed tables, as a new version of the catalog in the same transaction. So a process
 * that has not heard of it, and takes the view for a local relation, does not read the empty shells: see read-local-tables.ts.
 */
export function changeViews(scope: StatementScope, query: ParsedQuery, { created }: ViewChange): Promise<QueryResult> {
  return scope.atomically(async (transaction, options) => {
    const coordinator = await transaction.join(coordinatorNodeId, 'write', options);
    const result = await coordinator.queryParsed(query, options);
    if (created !== undefined) {
      const name = quoteName(created.schemaname, created.relname ?? '');
      // PostgreSQL makes a view over temporary tables temporary, unasked.
      const { rows } = await coordinator.query({ text: `SELECT relpersistence FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)`, values: [name] }, options);
      if (rows[0]?.[0] === 't') throw temporaryView(created.relname ?? '');
    }
    await bumpVersion({ coordinator, signal: scope.signal }, []);
    return result;
  });
}

import { ClusterError } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import type { StatementScope } from '../statement-scope.ts';

/** Rows of the table are to be deleted and inserted elsewhere: a foreign key would take others with them, or stand in the way. */
export async function checkUnreferenced(scope: StatementScope, { oid, name, distributionColumn }: DistributedTable): Promise<void> {
  const text = `SELECT conname FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = $1 ORDER BY conname LIMIT 1`;
  const { rows } = await scope.run(coordinatorNodeId, { text, values: [oid] }, 'read');
  const constraint = rows[0]?.[0];
  if (constraint === undefined || constraint === null) return;
  throw new ClusterError('unsupportedWrite', 'the write cannot be distributed', {
    detail: `UPDATE sets the distribution column "${distributionColumn?.name}", which moves rows to other shards, and foreign key "${constraint}" points to table "${name}".`,
    hint: 'Insert the rows under their new value, update those that point to them, and delete the old ones, in a transaction.',
  });
}

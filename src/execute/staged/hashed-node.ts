import type { ResultDistribution } from '../../analyze/result-table.ts';
import { at, present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CatalogSnapshot } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { shardGroupFor } from '../../catalog/shard-for-hash.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import { groupPlacer } from '../../plan/prune.ts';

/**
 * The node where rows with a row's value in the distributing column are. NULL, and what is no value of the column's type and so equals none of its
 * values, is taken to be in the first shard group.
 */
export function hashedNode({ colocation, column }: ResultDistribution, snapshot: CatalogSnapshot): (row: RawRow) => NodeId {
  const { type: distributionType, group } = groupPlacer(colocation, snapshot);
  const type = present(distributionType, 'distribution type');
  const first = at(group.shardGroups, 0).node;
  return (row) => {
    const value = row[column];
    if (value === null || value === undefined) return first;
    const hash = type.hashOf(value, group.hash);
    if (hash !== undefined) return shardGroupFor(group, hash).node;
    if (type.canonical(value).kind === 'invalid') return first;
    throw new ClusterError('unsupportedQuery', 'rows cannot be placed by the join column', {
      detail: `The value "${value}" of type ${group.distributionType} can only be hashed by a server.`, hint: 'Filter the query by the distribution column.',
    });
  };
}

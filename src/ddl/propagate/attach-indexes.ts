import type { ShardId } from '../../catalog/ids.ts';
import type { ShardNames } from '../shard-names.ts';
import type { IndexDefinition } from '../table-definition.ts';
import type { TableChange } from './table-change.ts';

/** ALTER INDEX … ATTACH PARTITION: the shard's indexes become parts of those above, which do not take them by themselves. `references` has the shards above, by OID. */
export function attachIndexesAbove(change: TableChange, shard: ShardNames, references: ReadonlyMap<number, ShardId>): string[] {
  const { before, after } = change;
  // ATTACH PARTITION of the table brings its indexes along.
  if (before.partitionOf === null || after.partitionOf === null) return [];
  const { table } = after.partitionOf;
  return (after.indexes ?? []).flatMap((index) => {
    const { name, parent } = index;
    if (parent === null || wasPart(change, index) || isTaken(change, parent)) return [];
    return [`ALTER INDEX ${shard.referenced({ ...table, name: parent }, references)} ATTACH PARTITION ${shard.index(name)}`];
  });
}

function wasPart({ before }: TableChange, { oid }: IndexDefinition): boolean {
  return before.indexes?.some((index) => index.oid === oid && index.parent !== null) === true;
}

/** An index that has just been made above takes what is there, unless it was made for the one table alone; one that was made anew, for another type of a column, has made its parts as well. */
function isTaken({ above, conversions }: TableChange, parent: string): boolean {
  const index = above?.after.indexes?.find(({ name }) => name === parent);
  const isNew = index !== undefined && above?.before.indexes?.some(({ oid }) => oid === index.oid) !== true;
  return isNew && (index.parts === null || conversions.size > 0);
}

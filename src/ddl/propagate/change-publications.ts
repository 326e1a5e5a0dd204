import { publish, unpublish } from '../publications.ts';
import type { ShardNames } from '../shard-names.ts';
import type { PublicationEntry } from '../table-definition.ts';
import type { TableChange } from './table-change.ts';

/** A publication of another name is the same. What it has of a table cannot be changed while it has it. */
function differing(these: readonly PublicationEntry[] | null, others: readonly PublicationEntry[] | null): PublicationEntry[] {
  return (these ?? []).filter(({ oid, columns, where }) => others?.some((other) => other.oid === oid && other.columns === columns && other.where === where) !== true);
}

/** Before columns that it has go, and before the publication itself does. */
export function unpublishChanged({ before, after }: TableChange, shard: ShardNames): string[] {
  return differing(before.publications, after.publications).map((entry) => unpublish(shard.sql, entry));
}

export function publishAnew({ before, after }: TableChange, shard: ShardNames): string[] {
  return differing(after.publications, before.publications).map((entry) => publish(shard.sql, entry));
}

/** Whether nodes may need a publication that they have not needed for this table. */
export function isPublishedAnew({ before, after }: TableChange): boolean {
  return differing(after.publications, before.publications).length > 0;
}

import type { ShardId } from '../../catalog/ids.ts';
import { inheritedNames } from '../inherited-names.ts';
import type { ShardWish } from '../render-shard.ts';
import { ShardNames } from '../shard-names.ts';
import type { TableDefinition } from '../table-definition.ts';
import { attachIndexesAbove } from './attach-indexes.ts';
import { changeBehaviour, dropBehaviour, dropPolicies, renameBehaviour } from './change-behaviour.ts';
import { addColumns, changeColumns, convertColumns, dropColumns, renameColumns } from './change-columns.ts';
import { addConstraints, alterConstraints, dropConstraints, remadeConstraints, renameConstraints } from './change-constraints.ts';
import { addIndexes, changeIndexes, dropIndexes, renameIndexes } from './change-indexes.ts';
import { attachToParent, detachPartition } from './change-partition.ts';
import { publishAnew, unpublishChanged } from './change-publications.ts';
import { changeComments, changeTableSettings, renameTable } from './change-table.ts';
import { addGuard, dropGuard } from './guard-aside.ts';
import { renameRemade } from './remade-indexes.ts';
import type { TableChange } from './table-change.ts';

/** Statements for one shard, in the order in which they are to be run. Each step is done for all tables of a statement before the next one begins. */
export interface ShardSteps {
  /** Publications, foreign keys and policies that go: other tables can change, or go, after that. */
  readonly untie: readonly string[];
  readonly drop: readonly string[];
  /** New types of columns; written for the settings of the session. The other steps are written for `definitionSettings`. */
  readonly convert: readonly string[];
  /** Columns, and NOT NULL, that come or change. Partitions have them from above. */
  readonly columns: readonly string[];
  /** Of partitions before those of the tables above. */
  readonly add: readonly string[];
  /** Indexes that become parts of those above. */
  readonly join: readonly string[];
  /** Foreign keys that come, or change. */
  readonly tie: readonly string[];
}

/** What is around a shard. */
export interface ShardSurroundings {
  /** The shards that it refers to, that it is a partition of, and that those are partitions of; by OID. */
  readonly references: ReadonlyMap<number, ShardId>;
  /** Definitions of the tables above. */
  readonly tree: readonly TableDefinition[];
  /** The check of its hashes as it is to be, where it has one. */
  readonly guard: ShardWish['hash'];
}

/** What makes of a shard as the table was one as it is. The shard keeps its id. Pure. */
export function changeShard(change: TableChange, id: ShardId, { references, tree, guard }: ShardSurroundings): ShardSteps {
  const was = new ShardNames(change.before, id, inheritedNames(change.before, tree, references));
  const is = new ShardNames(change.after, id, inheritedNames(change.after, tree, references));
  return {
    untie: [...unpublishChanged(change, was), ...detachPartition(change, was, references), ...dropConstraints(change, was, 'foreign'), ...dropPolicies(change, was)],
    drop: [
      ...dropGuard(change, was, guard),
      ...dropBehaviour(change, was),
      ...dropConstraints(change, was, 'other'),
      ...dropIndexes(change, was),
      ...dropColumns(change, was),
      ...renameTable(change, was),
      ...renameColumns(change, is),
      ...renameConstraints(change, is),
      ...renameIndexes(change, is),
      ...renameBehaviour(change, is),
    ],
    convert: convertColumns(change, is),
    columns: [
      ...renameRemade(change, is, references),
      ...addColumns(change, is),
      ...changeColumns(change, is),
      ...addConstraints(change, is, { kind: 'not_null', references }),
    ],
    add: [
      ...addGuard(change, is, guard),
      ...addConstraints(change, is, { kind: 'other', references }),
      ...alterConstraints(change, is, 'other'),
      ...addIndexes(change, is),
      ...changeIndexes(change, is),
      ...changeTableSettings(change, is),
    ],
    join: attachIndexesAbove(change, is, references),
    tie: [
      ...addConstraints(change, is, { kind: 'foreign', references }),
      ...attachToParent(change, is, references),
      ...alterConstraints(change, is, 'foreign'),
      ...changeBehaviour(change, is),
      ...changeComments(change, is, remadeConstraints(change)),
      ...publishAnew(change, is),
    ],
  };
}

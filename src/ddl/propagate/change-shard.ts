import type { ShardId } from '../../catalog/ids.ts';
import { ShardNames } from '../shard-names.ts';
import { changeBehaviour, dropBehaviour, dropPolicies, renameBehaviour } from './change-behaviour.ts';
import { addColumns, changeColumns, convertColumns, dropColumns, renameColumns } from './change-columns.ts';
import { addConstraints, alterConstraints, dropConstraints, remadeConstraints, renameConstraints } from './change-constraints.ts';
import { addIndexes, changeIndexes, dropIndexes, renameIndexes } from './change-indexes.ts';
import { changeComments, changeTableSettings, renameTable } from './change-table.ts';
import type { TableChange } from './table-change.ts';

/** Statements for one shard, in the order in which they are to be run. Each step is done for all tables of a statement before the next one begins. */
export interface ShardSteps {
  /** Foreign keys and policies that go: other tables can change, or go, after that. */
  readonly untie: readonly string[];
  readonly drop: readonly string[];
  /** New types of columns; written for the settings of the session. The other steps are written for `definitionSettings`. */
  readonly convert: readonly string[];
  readonly add: readonly string[];
  /** Foreign keys that come, or change. */
  readonly tie: readonly string[];
}

/** What makes of a shard as the table was one as it is. The shard keeps its id. Pure. */
export function changeShard(change: TableChange, id: ShardId, references: ReadonlyMap<number, ShardId>): ShardSteps {
  const was = new ShardNames(change.before, id);
  const is = new ShardNames(change.after, id);
  return {
    untie: [...dropConstraints(change, was, 'foreign'), ...dropPolicies(change, was)],
    drop: [
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
    add: [
      ...addColumns(change, is),
      ...changeColumns(change, is),
      ...addConstraints(change, is, { kind: 'other', references }),
      ...alterConstraints(change, is, 'other'),
      ...addIndexes(change, is),
      ...changeIndexes(change, is),
      ...changeTableSettings(change, is),
    ],
    tie: [
      ...addConstraints(change, is, { kind: 'foreign', references }),
      ...alterConstraints(change, is, 'foreign'),
      ...changeBehaviour(change, is),
      ...changeComments(change, is, remadeConstraints(change)),
    ],
  };
}

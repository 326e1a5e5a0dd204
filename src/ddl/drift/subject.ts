import type { ShardId } from '../../catalog/ids.ts';
import type { ShardNames } from '../shard-names.ts';
import type { TableDefinition } from '../table-definition.ts';

/** A shard as it should be, made from its table's definition, or as it is. */
export interface Subject {
  readonly table: TableDefinition;
  readonly names: ShardNames;
  /** The shards of other tables, by OID. */
  readonly references: ReadonlyMap<number, ShardId>;
}

import type { ShardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { renameWholeRows } from '../sql/rewrite-relation.ts';
import type { TableDefinition } from './table-definition.ts';

/** Lets the server itself refuse a row that is in the wrong shard. */
export const hashConstraint = 'shardwright_hash';

/** What a table and its parts are called on one of its shards; as SQL. */
export class ShardNames {
  readonly name: string;
  readonly sql: string;

  constructor(
    readonly table: Pick<TableDefinition, 'oid' | 'schema' | 'name'>,
    readonly id: ShardId,
  ) {
    this.name = shardName(table.name, id);
    this.sql = quoteQualified(table.schema, this.name);
  }

  /** Of a constraint or index. */
  part(name: string): string {
    return quoteIdentifier(shardName(name, this.id));
  }

  index(name: string): string {
    return quoteQualified(this.table.schema, shardName(name, this.id));
  }

  wholeRows(statement: string): string {
    return renameWholeRows(statement, this.table.name, this.name);
  }
}

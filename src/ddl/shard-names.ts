import { present } from '../base/assert.ts';
import type { ShardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { renameWholeRows } from '../sql/rewrite-relation.ts';
import type { RelatedTable, TableDefinition } from './table-definition.ts';

/** Lets the server itself refuse a row that is in the wrong shard. */
export const hashConstraint = 'shardwright_hash';

/** What a table and its parts are called on one of its shards; as SQL. */
export class ShardNames {
  readonly name: string;
  readonly sql: string;

  /** `inherited`: of CHECK constraints that the table has as a partition, the shard that they come from, whose name for them they keep. */
  constructor(
    readonly table: Pick<TableDefinition, 'oid' | 'schema' | 'name'>,
    readonly id: ShardId,
    readonly inherited: ReadonlyMap<string, ShardId> = new Map(),
  ) {
    this.name = this.called(table.name);
    this.sql = quoteQualified(table.schema, this.name);
  }

  called(name: string): string {
    return shardName(name, this.id);
  }

  /** Of a constraint or index. */
  part(name: string): string {
    return quoteIdentifier(this.called(name));
  }

  /** Of a constraint: a partition's may come from above. */
  constraint(name: string): string {
    const origin = this.inherited.get(name);
    return origin === undefined ? this.part(name) : quoteIdentifier(shardName(name, origin));
  }

  index(name: string): string {
    return quoteQualified(this.table.schema, this.called(name));
  }

  /** Of extended statistics. */
  statistics({ schema, name }: { readonly schema: string; readonly name: string }): string {
    return quoteQualified(schema, this.called(name));
  }

  /** Of a table that a foreign key refers to, or that it is a partition of; `references` has the shard ids, by OID. */
  referenced({ oid, schema, name }: RelatedTable, references: ReadonlyMap<number, ShardId>): string {
    return quoteQualified(schema, shardName(name, oid === this.table.oid ? this.id : present(references.get(oid), `shard of ${name}`)));
  }

  /** Whether `referenced` has a name for it: a table that is not distributed has no shards. */
  knows({ oid }: RelatedTable, references: ReadonlyMap<number, ShardId>): boolean {
    return references.has(oid);
  }

  wholeRows(statement: string): string {
    return renameWholeRows(statement, this.table.name, this.name);
  }
}

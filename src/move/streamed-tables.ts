import { ClusterError } from '../base/errors.ts';
import type { TableDefinition } from '../ddl/table-definition.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { AppliedTable } from './apply/apply-net-changes.ts';
import type { RelationMessage } from '../replication/pgoutput/message.ts';
import type { RowRoute } from './row-route.ts';

/** A shard as the stream calls it, and what its changes are applied to. */
export interface StreamedTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Pick<TableDefinition['columns'][number], 'name' | 'type' | 'generated' | 'typeKind'>[];
  /** Quoted and qualified; undefined for those on other nodes, whose rows are left out here. */
  readonly targets: readonly (string | undefined)[];
  /** Which of the targets a row goes to; undefined where there is only one. */
  readonly route?: RowRoute | undefined;
}

/** How to apply the changes of a relation to one of its targets. `moveUndone` when the table has changed since the move began. */
export function appliedTable(table: StreamedTable, relation: RelationMessage): Omit<AppliedTable, 'sql'> {
  const expected = table.columns.filter(({ generated }) => generated === null);
  const columns = relation.columns.map(({ name }) => expected.find((column) => column.name === name));
  if (columns.length !== expected.length || columns.includes(undefined)) throw definitionChanged(table.name);
  return {
    columns: columns.flatMap((column) => (column === undefined ? [] : [{ name: quoteIdentifier(column.name), type: column.type, typeKind: column.typeKind }])),
    key: relation.identity === 'f' ? undefined : relation.columns.flatMap(({ key }, i) => (key ? [i] : [])),
  };
}

/** While a node was being added, which is to have the same. */
export function definitionsChanged(): ClusterError {
  return new ClusterError('moveUndone', 'reference tables, or types, functions and the like, were changed while a node was added', { hint: 'Add the node again.' });
}

export function definitionChanged(name: string): ClusterError {
  return new ClusterError('moveUndone', `table "${name}" was changed while it was moved`, { hint: 'Start the move again.' });
}

import { ClusterError } from '../base/errors.ts';
import type { TableDefinition } from '../ddl/table-definition.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { AppliedTable } from './apply/apply-net-changes.ts';
import type { RelationMessage } from './pgoutput/message.ts';

/** A shard as the stream calls it, and what its changes are applied to. */
export interface StreamedTable {
  readonly schema: string;
  readonly name: string;
  /** Quoted and qualified. */
  readonly target: string;
  readonly columns: TableDefinition['columns'];
}

/** How to apply the changes of a relation. `moveUndone` when the table has changed since the move began. */
export function appliedTable(table: StreamedTable, relation: RelationMessage): AppliedTable {
  const expected = table.columns.filter(({ generated }) => generated === null);
  const columns = relation.columns.map(({ name }) => expected.find((column) => column.name === name));
  if (columns.length !== expected.length || columns.includes(undefined)) throw definitionChanged(table.name);
  return {
    sql: table.target,
    columns: columns.flatMap((column) => (column === undefined ? [] : [{ name: quoteIdentifier(column.name), type: column.type }])),
    key: relation.identity === 'f' ? undefined : relation.columns.flatMap(({ key }, i) => (key ? [i] : [])),
  };
}

export function definitionChanged(name: string): ClusterError {
  return new ClusterError('moveUndone', `table "${name}" was changed while it was moved`, { hint: 'Start the move again.' });
}

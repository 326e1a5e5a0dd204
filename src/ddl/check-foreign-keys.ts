import type { ColocationId } from '../catalog/ids.ts';
import type { ClusterError } from '../base/errors.ts';
import { unsupportedTable } from './check-table.ts';
import type { ColumnDefinition, ConstraintDefinition, ForeignKey, TableDefinition } from './table-definition.ts';

/** Where a table is about to go. */
export type TargetPlacement =
  | { readonly kind: 'reference' }
  | {
      readonly kind: 'distributed';
      /** Undefined for a single-shard table. */
      readonly column: ColumnDefinition | undefined;
      /** Undefined for a group that does not exist yet, in which no other table can be. */
      readonly colocationId: ColocationId | undefined;
      /** OIDs of tables that come into the group with it. */
      readonly together?: ReadonlySet<number> | undefined;
    };

/** `unsupportedTable` when a foreign key of the table could not be kept by each node alone. */
export function checkForeignKeys(table: TableDefinition, target: TargetPlacement): void {
  for (const constraint of table.constraints ?? []) {
    const { foreign } = constraint;
    if (foreign !== null) checkForeignKey({ table, target, constraint, foreign });
  }
}

interface Candidate {
  readonly table: TableDefinition;
  readonly target: TargetPlacement;
  readonly constraint: ConstraintDefinition;
  readonly foreign: ForeignKey;
}

function checkForeignKey(key: Candidate): void {
  checkReferencedTable(key);
  checkActions(key);
}

function checkReferencedTable(key: Candidate): void {
  const { table, target, foreign } = key;
  if (foreign.table.oid === table.oid) {
    if (target.kind === 'distributed') checkColumnsMatch(key, target.column?.position ?? null);
    return;
  }
  if (target.kind === 'distributed' && target.together?.has(foreign.table.oid) === true) return;
  const referenced = foreign.table.distribution;
  if (referenced === null) throw objection(key, `refers to local table "${foreign.table.name}"`, localHint(key));
  if (referenced.kind === 'reference') return;
  if (target.kind === 'reference') {
    throw objection(key, `refers to distributed table "${foreign.table.name}"`, 'A reference table can only refer to reference tables.');
  }
  if (referenced.colocationId !== target.colocationId) {
    const how = target.column === undefined ? '' : ' (same type and shard count)';
    const hint = `Distribute with colocateWith "${foreign.table.name}"${how}, or make that one a reference table.`;
    throw objection(key, `refers to table "${foreign.table.name}", which is not co-located`, hint);
  }
  checkColumnsMatch(key, referenced.columnPosition);
}

function localHint({ target, foreign }: Candidate): string {
  const asReference = `Make "${foreign.table.name}" a reference table first`;
  return target.kind === 'reference' ? `${asReference}.` : `${asReference}, or distribute it first so that this table can be co-located with it.`;
}

/** Referring and referred row are in one shard group only if the key contains both distribution columns, at the same place. */
function checkColumnsMatch(key: Candidate, referencedPosition: number | null): void {
  const { target, constraint, foreign } = key;
  // Rows of single-shard tables are together, whatever the key.
  if (target.kind !== 'distributed' || target.column === undefined) return;
  const place = (constraint.columns ?? []).indexOf(target.column.position);
  if (place >= 0 && foreign.columns[place] === referencedPosition) return;
  throw objection(
    key,
    `does not match distribution columns`,
    `Add "${target.column.name}" to the foreign key, opposite the distribution column of "${foreign.table.name}".`,
  );
}

function checkActions(key: Candidate): void {
  const { table, target, constraint, foreign } = key;
  const positions = constraint.columns ?? [];
  const setOnDelete = isSet(foreign.onDelete) ? (foreign.onDeleteColumns ?? positions) : [];
  const setOnUpdate = isSet(foreign.onUpdate) || foreign.onUpdate === 'cascade' ? positions : [];
  if (target.kind === 'distributed' && target.column !== undefined && [...setOnDelete, ...setOnUpdate].includes(target.column.position)) {
    throw objection(
      key,
      `would change distribution column "${target.column.name}"`,
      'Leave it out of the columns of ON DELETE SET NULL, or use another action.',
    );
  }
  const defaulted = [...(foreign.onDelete === 'set_default' ? setOnDelete : []), ...(foreign.onUpdate === 'set_default' ? positions : [])];
  const columns = table.columns.filter(({ position }) => defaulted.includes(position));
  const varying = target.kind === 'reference' ? columns.find(({ usesSequence, volatility }) => !usesSequence && (volatility === 's' || volatility === 'v')) : undefined;
  if (varying !== undefined) throw objection(key, `would set "${varying.name}" to a default that differs from copy to copy`, 'Use another action.');
  const column = columns.find(({ usesSequence }) => usesSequence);
  if (column === undefined) return;
  throw objection(key, `would set "${column.name}" to a default that only the coordinator database knows`, 'Use another action.');
}

function isSet(action: ForeignKey['onDelete']): boolean {
  return action === 'set_null' || action === 'set_default';
}

function objection({ table, constraint }: Candidate, what: string, hint: string): ClusterError {
  return unsupportedTable(table, { message: `foreign key "${constraint.name}" ${what}`, hint });
}

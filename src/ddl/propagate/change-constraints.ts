import type { ShardId } from '../../catalog/ids.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { addConstraint } from '../render-shard.ts';
import type { ShardNames } from '../shard-names.ts';
import type { ConstraintDefinition } from '../table-definition.ts';
import { isFromAbove, isInTree, wentAbove } from './handed-down.ts';
import { isRemadeAbove } from './remade-indexes.ts';
import { matchColumns, matchConstraints, type TableChange } from './table-change.ts';

type Kind = 'foreign' | 'other';
type AddedKind = Kind | 'not_null';

/** Foreign keys go before what they refer to, and come after it. NOT NULL goes after a primary key, which needs it. */
export function dropConstraints(change: TableChange, shard: ShardNames, kind: Kind): string[] {
  const gone = [...ofKind(replaced(change).gone, kind)].sort((a, b) => Number(a.kind === 'not_null') - Number(b.kind === 'not_null'));
  return gone.filter((constraint) => !belongsTo(constraint, matchColumns(change).gone) && !wentAbove(change, constraint)).map((constraint) => dropConstraint(change, constraint, shard));
}

function dropConstraint({ before }: TableChange, { kind, name, columns, validated }: ConstraintDefinition, shard: ShardNames): string {
  const column = before.columns.find(({ position }) => position === columns?.[0]);
  if (kind === 'not_null' && validated && column !== undefined && isInTree(before)) return `ALTER TABLE ${shard.sql} ALTER COLUMN ${quoteIdentifier(column.name)} DROP NOT NULL`;
  return `ALTER TABLE ${shard.sql} DROP CONSTRAINT ${shard.part(name)}`;
}

export function renameConstraints(change: TableChange, shard: ShardNames): string[] {
  return matchConstraints(change).kept.filter(({ from, to }) => from.name !== to.name && !isFromAbove(change, to) && !(to.kind === 'not_null' && isInTree(change.after)))
    .map(({ from, to }) => `ALTER TABLE ${shard.sql} RENAME CONSTRAINT ${shard.part(from.name)} TO ${shard.part(to.name)}`);
}

/** NOT NULL comes before what makes columns NOT NULL by itself: partitions are to have it from above, not for their keys, or it would stay when it goes above. */
export function addConstraints(change: TableChange, shard: ShardNames, { kind, references }: { readonly kind: AddedKind; readonly references: ReadonlyMap<number, ShardId> }): string[] {
  const added = replaced(change).added.filter((constraint) => addedKind(constraint) === kind);
  return added.filter((constraint) => !belongsTo(constraint, matchColumns(change).added) && !isFromAbove(change, constraint) && !hasRemadeIndex(change, constraint))
    .map((constraint) => fromIndex(change, constraint, shard) ?? addConstraint(shard, constraint, references));
}

function addedKind({ kind }: ConstraintDefinition): AddedKind {
  return kind === 'foreign' || kind === 'not_null' ? kind : 'other';
}

function hasRemadeIndex(change: TableChange, { kind, indexOid, inherited }: ConstraintDefinition): boolean {
  return kind !== 'foreign' && indexOid !== null && isRemadeAbove(change, { oid: indexOid, inherited });
}

/** VALIDATE CONSTRAINT, and ALTER CONSTRAINT of foreign keys. */
export function alterConstraints(change: TableChange, shard: ShardNames, kind: Kind): string[] {
  return matchConstraints(change).kept.filter(({ to }) => ofKind([to], kind).length > 0).flatMap(({ from, to }) => {
    if (isReplaced(from, to) || wentAbove(change, to)) return [];
    const alter = `ALTER TABLE ${shard.sql}`;
    const deferring = `${to.deferrable ? 'DEFERRABLE' : 'NOT DEFERRABLE'} INITIALLY ${to.deferred ? 'DEFERRED' : 'IMMEDIATE'}`;
    return [
      ...(from.deferrable === to.deferrable && from.deferred === to.deferred ? [] : [`${alter} ALTER CONSTRAINT ${shard.part(to.name)} ${deferring}`]),
      ...(to.validated && !from.validated ? [`${alter} VALIDATE CONSTRAINT ${shard.constraint(to.name)}`] : []),
    ];
  });
}

/** The name of the index that a new constraint takes over, before it does. */
export function takenIndex({ before }: TableChange, { indexOid }: ConstraintDefinition): string | undefined {
  return before.indexes?.find(({ oid, ofConstraint }) => oid === indexOid && !ofConstraint)?.name;
}

/** Those that change in a way for which there is no command on every version are made anew. */
function replaced(change: TableChange): { readonly gone: readonly ConstraintDefinition[]; readonly added: readonly ConstraintDefinition[] } {
  const { gone, added, kept } = matchConstraints(change);
  const again = kept.filter(({ from, to }) => isReplaced(from, to));
  return { gone: [...gone, ...again.map(({ from, to }) => ({ ...from, name: to.name }))], added: [...added, ...again.map(({ to }) => to)] };
}

/** Names of those that are still the same to the table. */
export function remadeConstraints(change: TableChange): string[] {
  return matchConstraints(change).kept.filter(({ from, to }) => isReplaced(from, to)).map(({ to }) => to.name);
}

function isReplaced(from: ConstraintDefinition, to: ConstraintDefinition): boolean {
  const isDeferring = from.kind === 'foreign' && (from.deferrable !== to.deferrable || from.deferred !== to.deferred);
  return (from.validated && !to.validated) || (from.flags !== to.flags && !isDeferring);
}

function ofKind(constraints: readonly ConstraintDefinition[], kind: Kind): readonly ConstraintDefinition[] {
  return constraints.filter((constraint) => (constraint.kind === 'foreign') === (kind === 'foreign'));
}

/** NOT NULL comes and goes with its column. */
function belongsTo({ kind, columns, validated }: ConstraintDefinition, of: readonly { readonly position: number }[]): boolean {
  return kind === 'not_null' && validated && of.some(({ position }) => columns?.[0] === position);
}

function fromIndex(change: TableChange, constraint: ConstraintDefinition, shard: ShardNames): string | undefined {
  const index = takenIndex(change, constraint);
  if (index === undefined) return undefined;
  const deferring = constraint.deferrable ? ` DEFERRABLE INITIALLY ${constraint.deferred ? 'DEFERRED' : 'IMMEDIATE'}` : '';
  const kind = constraint.kind === 'primary' ? 'PRIMARY KEY' : 'UNIQUE';
  return `ALTER TABLE ${shard.sql} ADD CONSTRAINT ${shard.part(constraint.name)} ${kind} USING INDEX ${shard.part(index)}${deferring}`;
}

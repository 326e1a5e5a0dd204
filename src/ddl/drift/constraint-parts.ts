import { quoteIdentifier } from '../../sql/identifiers.ts';
import { addConstraint, attachIndexes, clusterOn, createIndex, indexStatistics } from '../render-shard.ts';
import type { ShardNames } from '../shard-names.ts';
import { optionSql } from '../option-sql.ts';
import type { ConstraintDefinition, IndexDefinition } from '../table-definition.ts';
import type { Part } from './part.ts';
import type { Subject } from './subject.ts';

/** Constraints but those NOT NULL that hold, which are told of with their columns: their names are nobody's concern. Foreign keys come last. */
export function constraintParts(subject: Subject): Part[] {
  const told = (subject.table.constraints ?? []).filter(({ kind, validated }) => kind !== 'not_null' || !validated);
  return [...told.filter(({ kind }) => kind !== 'foreign'), ...told.filter(({ kind }) => kind === 'foreign')].map((constraint) => constraintPart(subject, constraint));
}

function constraintPart({ names, references, table }: Subject, constraint: ConstraintDefinition): Part {
  const name = names.constraint(constraint.name);
  const drop = `ALTER TABLE ${names.sql} DROP CONSTRAINT ${name}`;
  if (constraint.kind === 'not_null') {
    const sql = `ALTER TABLE ${names.sql} ADD ${constraint.sql}`;
    // The column's position is another one on a shard, where a column was dropped before the table was distributed.
    const column = table.columns.find(({ position }) => position === constraint.columns?.[0])?.name ?? '';
    return { key: `not-null ${column}`, what: 'not-null constraint', shown: constraint.sql, make: [sql], drop: [drop] };
  }
  const make = [addConstraint(names, constraint, references)];
  const validate = `ALTER TABLE ${names.sql} VALIDATE CONSTRAINT ${name}`;
  const change = (found: Part): readonly string[] => (found.make.join() === `${make.join()} NOT VALID` ? [validate] : [...found.drop, ...make]);
  return { key: constraintKey(name), what: `constraint ${quoteIdentifier(constraint.name)}`, shown: constraint.sql, make, drop: [drop], change };
}

export function constraintKey(quotedName: string): string {
  return `constraint ${quotedName}`;
}

/** Indexes, those of constraints too as far as the constraint is silent about them. */
export function indexParts({ table, names, references }: Subject): Part[] {
  return (table.indexes ?? []).flatMap((index) => [...(index.ofConstraint ? [] : [indexPart(names, index)]), ...attachedParts({ names, references }, index), ...indexSettingParts(names, index)]);
}

/** Of an index that is not valid, since it has not one of each partition. */
function attachedParts({ names, references }: Pick<Subject, 'names' | 'references'>, index: IndexDefinition): Part[] {
  return attachIndexes(names, index, references).map((attach): Part => ({ key: attach, within: indexKey(names, index), what: `partition of index ${quoteIdentifier(index.name)}`, shown: attach, make: [attach], drop: [] }));
}

function indexPart(names: ShardNames, index: IndexDefinition): Part {
  const sql = createIndex(names, index);
  const drop = [`DROP INDEX ${names.index(index.name)}`];
  const make = index.valid || index.parts !== null ? [sql] : [sql, 'is not valid'];
  const change = (found: Part): readonly string[] => (found.make.length > 1 && found.make[0] === sql ? [`REINDEX INDEX ${names.index(index.name)}`] : [...found.drop, sql]);
  const shown = `${index.unique ? 'UNIQUE ' : ''}${index.sql}${index.valid ? '' : ' (not valid)'}`;
  return { key: indexKey(names, index), what: `index ${quoteIdentifier(index.name)}`, shown, make, drop, change };
}

export function indexKey(names: ShardNames, index: IndexDefinition): string {
  return index.ofConstraint ? constraintKey(names.part(index.name)) : `index ${names.part(index.name)}`;
}

function indexSettingParts(names: ShardNames, index: IndexDefinition): Part[] {
  const sql = names.index(index.name);
  const common = { within: indexKey(names, index) };
  const of = `of index ${quoteIdentifier(index.name)}`;
  const options = index.ofConstraint ? (index.options ?? []) : [];
  return [
    ...options.map((option): Part => {
      const name = option.slice(0, option.indexOf('='));
      const [make, drop] = [[`ALTER INDEX ${sql} SET (${optionSql(option)})`], [`ALTER INDEX ${sql} RESET (${name})`]];
      return { ...common, key: `index option ${sql} ${name}`, what: `storage parameter ${name} ${of}`, shown: option, make, drop };
    }),
    ...(index.statistics ?? []).map(([place, target], i): Part => {
      const drop = [`ALTER INDEX ${sql} ALTER COLUMN ${place} SET STATISTICS -1`];
      return { ...common, key: `index statistics ${sql} ${place}`, what: `statistics target ${of}`, shown: `${place}: ${target}`, make: indexStatistics(names, index).slice(i, i + 1), drop };
    }),
    ...(index.clustered
      ? [{ ...common, key: 'clustered', what: `clustering ${of}`, shown: 'clustered', make: [clusterOn(names, index)], drop: [`ALTER TABLE ${names.sql} SET WITHOUT CLUSTER`] }]
      : []),
  ];
}

import { ClusterError } from '../base/errors.ts';
import { scanTokens } from '../sql/scan.ts';
import type { TableDefinition } from './table-definition.ts';

/** `unsupportedTable` or `alreadyDistributed`, for what neither a distributed nor a reference table can be. */
export function checkTable(table: TableDefinition): void {
  if (table.distribution !== null) {
    const kind = table.distribution.kind === 'reference' ? 'a reference table' : 'distributed';
    throw new ClusterError('alreadyDistributed', `table "${table.name}" is ${kind} already`, { schema: table.schema, table: table.name, hint: 'cluster.alterDistributedTable() makes another kind of table of it, with its rows.' });
  }
  checkProperties(table);
}

/** `unsupportedTable` for what no shard could keep. */
export function checkProperties(table: TableDefinition): void {
  const objection = firstObjection(table);
  if (objection !== undefined) throw unsupportedTable(table, objection);
}

export interface Objection {
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

export function unsupportedTable(
  table: Pick<TableDefinition, 'schema' | 'name'>,
  objection: Objection,
  verb: 'distribute' | 'undistribute' | 'alter' = 'distribute',
): ClusterError {
  return new ClusterError('unsupportedTable', `cannot ${verb} table "${table.name}": ${objection.message}`, {
    detail: objection.detail,
    hint: objection.hint,
    schema: table.schema,
    table: table.name,
  });
}

function firstObjection(table: TableDefinition): Objection | undefined {
  return objectionToKind(table) ?? objectionToInheritance(table) ?? objectionToBehaviour(table) ?? objectionToStorage(table);
}

const kinds: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
  i: 'an index',
  I: 'an index',
  c: 'a composite type',
  t: 'a TOAST table',
};

function objectionToKind(table: TableDefinition): Objection | undefined {
  if (table.kind !== 'r' && table.kind !== 'p') return { message: `it is ${kinds[table.kind] ?? 'no table'}`, hint: 'Only tables can be distributed.' };
  if (table.persistence === 't') return { message: 'it is temporary', hint: 'Use CREATE TABLE or CREATE UNLOGGED TABLE.' };
  if (table.system) return { message: 'it is a system catalog' };
  if (table.columns.length === 0) return { message: 'it has no columns', hint: 'Add one first.' };
  if (table.typed) return { message: 'it is of a composite type', hint: 'Run ALTER TABLE … NOT OF.' };
  return undefined;
}

function objectionToInheritance(table: TableDefinition): Objection | undefined {
  if (table.inherits) return { message: 'it inherits from another table', hint: 'Run ALTER TABLE … NO INHERIT first.' };
  if (table.inherited) return { message: 'other tables inherit from it', hint: 'Run ALTER TABLE … NO INHERIT on them first.' };
  return undefined;
}

function objectionToBehaviour(table: TableDefinition): Objection | undefined {
  const { rules } = table;
  if (rules !== null) return { message: 'it has rules', detail: `Rules: ${rules.join(', ')}.`, hint: 'Drop them first.' };
  const excluding = table.partitionKey === null ? undefined : table.constraints?.find(({ kind }) => kind === 'exclude');
  if (excluding !== undefined) return { message: `it is partitioned, and has exclusion constraint "${excluding.name}"`, detail: 'PostgreSQL makes another one for it on each partition, whatever is there already.', hint: 'Make one on each partition by itself: the constraint compares the partition key with "=", so that is the same.' };
  return objectionToExpressions(table);
}

/** What says in which table a row is means a shard there. */
function objectionToExpressions({ constraints, policies, columns }: TableDefinition): Objection | undefined {
  const expressions = [
    ...(constraints ?? []).flatMap(({ kind, name, sql }) => (kind === 'check' ? [{ what: `constraint "${name}"`, sql }] : [])),
    ...(policies ?? []).map(({ name, using, check }) => ({ what: `policy "${name}"`, sql: `${using ?? ''} ${check ?? ''}` })),
    ...columns.map(({ name, expression }) => ({ what: `column "${name}"`, sql: expression ?? '' })),
  ];
  const found = expressions.find(({ sql }) => /\btableoid\b/.test(sql) && scanTokens(sql).some(({ text }) => text === 'tableoid'));
  return found === undefined ? undefined : { message: `${found.what} reads tableoid`, detail: 'It would tell of the shard.' };
}

function objectionToStorage(table: TableDefinition): Objection | undefined {
  const hint = 'Run ALTER TABLE … SET TABLESPACE pg_default, and ALTER INDEX likewise: tablespaces differ from node to node.';
  if (table.tablespace) return { message: 'it is in a tablespace', hint };
  const index = table.indexes?.find(({ tablespace }) => tablespace);
  if (index !== undefined) return { message: `its index "${index.name}" is in a tablespace`, hint };
  return undefined;
}

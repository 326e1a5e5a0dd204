import type { ClusterStmt, LockStmt, RangeVar, ReindexStmt, VacuumStmt } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { at, present } from '../../base/assert.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, tokenAt } from '../../sql/scan.ts';
import type { LockPlan, MaintenancePart, MaintenancePlan } from './maintenance-plan.ts';
import { tableNamed, writtenName } from './named-objects.ts';

/** The plan of a statement that looks after tables or locks them; undefined where it names no distributed or reference table. */
export function planMaintenance(statement: Statement, names: RelationNames): MaintenancePlan | LockPlan | undefined {
  const { node } = statement;
  if ('VacuumStmt' in node) return ofVacuum(statement, node.VacuumStmt, names);
  if ('ReindexStmt' in node) return ofReindex(statement, node.ReindexStmt, names);
  if ('ClusterStmt' in node) return ofCluster(statement, node.ClusterStmt, names);
  return 'LockStmt' in node ? ofLock(statement, node.LockStmt, names) : undefined;
}

function ofVacuum(statement: Statement, { rels }: VacuumStmt, names: RelationNames): MaintenancePlan | undefined {
  if (rels === undefined) return everywhere(statement, names, () => statement.text);
  return planned(statement, rels.flatMap((node) => ('VacuumRelation' in node ? (node.VacuumRelation.relation ?? []) : [])), names);
}

/** REINDEX DATABASE and REINDEX SYSTEM name the database that they run in, or, from PostgreSQL 16 on, none. */
function ofReindex(statement: Statement, { kind, relation, name }: ReindexStmt, names: RelationNames): MaintenancePlan | undefined {
  if (relation !== undefined) return planned(statement, [relation], names);
  if (kind === 'REINDEX_OBJECT_SCHEMA') return everywhere(statement, names, () => statement.text);
  const unnamed = name === undefined ? statement.text : statement.text.slice(0, present(scanTokens(statement.text).at(-1)).start);
  return everywhere(statement, names, (database) => `${unnamed} ${quoteIdentifier(database)}`);
}

/** Without a table it is about all that were clustered before. */
function ofCluster(statement: Statement, { relation }: ClusterStmt, names: RelationNames): MaintenancePlan | undefined {
  return relation === undefined ? everywhere(statement, names, () => statement.text) : planned(statement, [relation], names);
}

function everywhere({ text }: Statement, { snapshot }: RelationNames, textOf: (database: string) => string): MaintenancePlan | undefined {
  return snapshot.tables.size === 0 ? undefined : { kind: 'maintenance', text, parts: [], everywhere: textOf };
}

function planned(statement: Statement, relations: readonly RangeVar[], names: RelationNames): MaintenancePlan | undefined {
  const first = relations[0];
  const parts = first === undefined ? [] : relations.flatMap((relation) => partOf(statement, { first, relation }, names) ?? []);
  return parts.length === 0 ? undefined : { kind: 'maintenance', text: statement.text, parts, everywhere: undefined };
}

/** What stands before the first relation, the relation, and what belongs to it: its columns, or USING and an index. */
function partOf({ text, source }: Statement, { first, relation }: { readonly first: RangeVar; readonly relation: RangeVar }, names: RelationNames): MaintenancePart | undefined {
  const table = tableNamed(names, writtenName(relation));
  if (table === undefined) return undefined;
  const tokens = scanTokens(text);
  const place = ({ location = 0 }: RangeVar): number => tokenAt(tokens, source.index(location));
  const behind = place(relation) + (relation.schemaname === undefined ? 1 : 3);
  const head = text.slice(0, at(tokens, place(first)).start);
  const next = tokens[behind]?.text;
  const columns = next === '(' ? text.slice(at(tokens, behind).start, at(tokens, afterGroup(tokens, behind) - 1).end) : '';
  const using = next?.toUpperCase() === 'USING' ? at(tokens, behind + 1).text : undefined;
  const index = relation.relname === table.name ? undefined : relation.relname;
  return { table, index, text: ({ relation: sql, part }) => `${head}${sql} ${columns}${using === undefined ? '' : `USING ${part(unquoted(using))}`}` };
}

function unquoted(token: string): string {
  return token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token.toLowerCase();
}

const lockModes = ['', 'ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', 'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE'];

function ofLock({ text }: Statement, { relations = [], mode = 0, nowait }: LockStmt, names: RelationNames): LockPlan | undefined {
  const tables = relations.flatMap((node) => ('RangeVar' in node ? (names.resolve(node.RangeVar.schemaname, node.RangeVar.relname ?? '') ?? []) : []));
  return tables.length === 0 ? undefined : { kind: 'lock', text, tables, mode: at(lockModes, mode), nowait: nowait === true };
}

import type { ResultTable, ResultUse } from '../analyze/result-table.ts';
import type { TableUse } from '../analyze/relation.ts';
import { AssertionError, at } from '../base/assert.ts';
import type { CatalogTable, DistributedTable, ReferenceTable } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { copyPartSql, copySql } from '../catalog/reference-copies.ts';
import { shardName } from '../catalog/shard-name.ts';
import { relationAlias, walk } from '../sql/ast.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { Edit, Template } from '../sql/template.ts';
import { applyEdits, fillTemplate } from '../sql/template.ts';
import { checkSameNames } from './check-same-names.ts';
import { NameCutter } from './name-cutter.ts';
import { type Draw, type DrawnPlaces, drawnPlaces, firstDrawn, nothingDrawn } from './drawn-values.ts';
import { columnEdits } from './table-columns.ts';

/** What differs between the shard groups that one statement runs on. */
type Hole =
  | { readonly kind: 'shard'; readonly table: DistributedTable; readonly use: number }
  | { readonly kind: 'reference'; readonly table: ReferenceTable }
  /** A constraint or index named in the statement. */
  | { readonly kind: 'constraint'; readonly table: DistributedTable; readonly use: number; readonly name: string }
  | { readonly kind: 'copy_constraint'; readonly table: ReferenceTable; readonly name: string }
  /** An intermediate result, wherever and however it is held. */
  | { readonly kind: 'result'; readonly result: ResultTable };

/** A statement whose tables are to be replaced by shards: the caller's own text but for names. */
export interface ShardTemplate {
  readonly template: Template<Hole>;
  /** The statement's `$1`, `$2` … are these parameters of the caller's, by their numbers. */
  readonly parameters: readonly number[];
  /** Number of uses of distributed tables, in the order of `ordinals` for `renderTemplate`. */
  readonly uses: number;
  /** Of what it takes values on its node: parameters from `firstDrawn` on, each a block for `shardwright.nextval`, are its last. */
  readonly draws: readonly Draw[];
}

/**
 * Cuts the names of catalog tables out of a statement. A shard takes its table's name as alias where the caller gave none, so everything else
 * can stay as it was written, but for `*`, which is written out; column references that name a schema lose it.
 */
export function shardTemplate(statement: Statement, uses: readonly TableUse[], results: readonly ResultUse[] = []): ShardTemplate {
  return cutTemplate(statement, { uses, results, drawn: nothingDrawn });
}

/** The same of a write, which takes the values of sequences out of blocks that it brings: sequences are in the coordinator database. Throws `unsupportedQuery` for a sequence that is not named by a constant. */
export function writeTemplate(statement: Statement, uses: readonly TableUse[], results: readonly ResultUse[] = []): ShardTemplate {
  return cutTemplate(statement, { uses, results, drawn: drawnPlaces(statement, new Map(uses.map(({ rangeVar, table }) => [rangeVar, table]))) });
}

interface Cuts {
  readonly uses: readonly TableUse[];
  readonly results: readonly ResultUse[];
  readonly drawn: DrawnPlaces;
}

function cutTemplate(statement: Statement, { uses, results, drawn }: Cuts): ShardTemplate {
  checkSameNames(statement, uses);
  const cutter = new NameCutter(statement);
  const distributed = uses.filter((use) => use.table.kind === 'distributed');
  const named = uses.map(({ rangeVar, table: { schema, name } }) => ({ rangeVar, schema, name }));
  const written = columnEdits(statement, uses, cutter);
  const listed = ({ rangeVar, table }: TableUse): string => (written.isByPlaces(rangeVar) ? '*' : listSql(table, relationAlias(rangeVar)));
  const edits: Edit<Hole>[] = uses.map((use) => cutter.relationEdit<Hole>(use.rangeVar, tableHole(use, distributed.indexOf(use)), listed(use)));
  for (const { rangeVar, result } of results) edits.push(cutter.relationEdit<Hole>(rangeVar, { kind: 'result', result }));
  edits.push(...cutter.columnEdits(named), ...written.edits, ...constraintEdits(statement, cutter, { uses, distributed }));
  const numbers = parameterNumbers(statement.node);
  const contiguous = numbers.every((number, i) => number === i + 1);
  if (!contiguous) {
    // A server cannot tell the type of a parameter that is not used.
    edits.push(...cutter.parameterPlaces().map(({ number, ...cut }) => ({ ...cut, parts: [`$${numbers.indexOf(number) + 1}`] })));
  }
  edits.push(...drawn.places.map(({ location, draw }) => ({ ...cutter.callExtent(location), parts: [`shardwright.nextval($${numbers.length + draw + 1})`] })));
  return {
    template: applyEdits(statement.text, edits), parameters: [...numbers, ...drawn.draws.map((_, i) => firstDrawn + i)], uses: distributed.length, draws: drawn.draws,
  };
}

/** What fills the holes of a template. */
export interface Filling {
  /** The relation in the place of a shard of one use. */
  shard(table: DistributedTable, use: number): string;
  reference?(table: ReferenceTable): string;
  /** The server that is asked, whose copies of reference tables are meant; any node where not given. */
  readonly node?: NodeId | undefined;
  /** The name of a shard's constraint or index. */
  constraint?(table: DistributedTable, name: string): string;
  result(result: ResultTable): string;
}

/** The statement with its holes filled. */
export function fillShardTemplate({ template }: ShardTemplate, filling: Filling): string {
  return fillTemplate(template, (hole) => {
    if (hole.kind === 'result') return filling.result(hole.result);
    if (hole.kind === 'shard') return filling.shard(hole.table, hole.use);
    if (hole.kind === 'reference') return filling.reference?.(hole.table) ?? copySql(hole.table, filling.node);
    if (hole.kind === 'copy_constraint') return copyPartSql(hole.table, hole.name, filling.node);
    if (filling.constraint !== undefined) return filling.constraint(hole.table, hole.name);
    throw new AssertionError('only INSERT names constraints');
  });
}

/** The statement for one shard group; `ordinalOf(use)` says which shard of each use's table. It reads no intermediate results. */
export function renderTemplate({ template }: ShardTemplate, ordinalOf: (use: number) => number): string {
  return fillTemplate(template, (hole) => {
    if (hole.kind === 'result') return `pg_temp.${quoteIdentifier(hole.result.name)}`;
    if (hole.kind === 'reference') return copySql(hole.table);
    if (hole.kind === 'copy_constraint') return copyPartSql(hole.table, hole.name);
    const ordinal = ordinalOf(hole.use);
    if (hole.kind === 'constraint') return constraintSql(hole.table, hole.name, ordinal);
    return shardSql(hole.table, ordinal);
  });
}

/** A statement of reference tables whose shells are copies, for the coordinator database. */
export function renderForShells(template: ShardTemplate): string {
  return fillShardTemplate(template, { node: coordinatorNodeId, shard: notThere, result: notThere });
}

function notThere(): never {
  throw new AssertionError('the coordinator database has no shards');
}

/** A shard's qualified name. */
export function shardSql(table: DistributedTable, ordinal: number): string {
  return quoteQualified(table.schema, shardName(table.name, at(table.shardIds, ordinal)));
}

/** What a table's constraint or index is called on a shard. */
export function constraintSql(table: DistributedTable, name: string, ordinal: number): string {
  return quoteIdentifier(shardName(name, at(table.shardIds, ordinal)));
}

/** Several shards of a table as one relation, of these columns or of all. */
export function unitedSql(table: DistributedTable, ordinals: readonly number[], columns: readonly string[] = table.columns.map(({ name }) => name)): string {
  return `(${ordinals.map((ordinal) => `SELECT ${qualified(columns, 's')} FROM ${shardSql(table, ordinal)} AS s`).join(' UNION ALL ')})`;
}

/** All columns of a table, in its own order, of a shard that is called `alias`. */
function listSql({ columns }: CatalogTable, alias: string): string {
  return columns.length === 0 ? '*' : qualified(columns.map(({ name }) => name), alias);
}

/** Of this relation, and not of a query around it where a shard has lost one. */
function qualified(columns: readonly string[], alias: string): string {
  return columns.map((column) => quoteQualified(alias, column)).join(', ');
}

/** The statement over several shard groups at once, of which it needs these columns; its only distributed table gives way to their union. */
export function renderUnited(template: ShardTemplate, ordinals: readonly number[], columns: readonly string[]): string {
  return fillShardTemplate(template, { shard: (table) => unitedSql(table, ordinals, columns), result: ({ name }) => `pg_temp.${quoteIdentifier(name)}` });
}

/** The parameters that a tree mentions, ascending. */
export function parameterNumbers(tree: unknown): number[] {
  const numbers = new Set<number>();
  walk(tree, (kind, body) => {
    // A function's body has parameters of its own.
    if (kind === 'CreateFunctionStmt') return false;
    if (kind === 'ParamRef' && 'number' in body) numbers.add(Number(body.number));
    return undefined;
  });
  return [...numbers].sort((a, b) => a - b);
}

interface Targets {
  readonly uses: readonly TableUse[];
  readonly distributed: readonly TableUse[];
}

/** `ON CONFLICT ON CONSTRAINT name`: a shard's constraint has the shard's id in its name. */
function constraintEdits(statement: Statement, cutter: NameCutter, { uses, distributed }: Targets): Edit<Hole>[] {
  const edits: Edit<Hole>[] = [];
  walk(statement.node, (kind, body) => {
    if (kind !== 'InsertStmt' || !('onConflictClause' in body)) return undefined;
    const { infer } = body.onConflictClause as { infer?: { conname?: string; location?: number } };
    const target = uses.find(({ rangeVar }) => 'relation' in body && rangeVar === body.relation);
    if (infer?.conname === undefined || target === undefined) return undefined;
    const tokens = cutter.tokens();
    let i = cutter.tokenOf(infer.location ?? 0);
    while (tokens[i] !== undefined && tokens[i]?.text.toUpperCase() !== 'CONSTRAINT') i += 1;
    const token = at(tokens, i + 1);
    edits.push({ start: token.start, end: token.end, parts: [constraintHole(target, distributed.indexOf(target), infer.conname)] });
    return undefined;
  });
  return edits;
}

function tableHole({ table }: TableUse, use: number): Hole | string {
  return table.kind === 'distributed' ? { kind: 'shard', table, use } : { kind: 'reference', table };
}

/** A constraint that the table does not have keeps the caller's name in the server's error. */
function constraintHole({ table }: TableUse, use: number, name: string): Hole | string {
  if (!table.constraints.includes(name)) return quoteIdentifier(name);
  if (table.kind === 'distributed') return { kind: 'constraint', table, use, name };
  return { kind: 'copy_constraint', table, name };
}

import type { FuncCall, Node, RangeFunction, RangeVar, ResTarget, SelectStmt } from '@pgsql/types';
import { analyzeAny } from '../../analyze/analyze-statement.ts';
import { builtinRules, hasVolatileCall } from '../../analyze/function-calls.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { ClusterError } from '../../base/errors.ts';
import { holds, nameParts, walk } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import type { Describe } from '../describe.ts';
import { unsupported } from '../select/unsupported.ts';
import type { UtilityCall } from '../statement-plan.ts';
import { callOf, utilityFunctions } from '../utility-call.ts';
import { targetOfWrite } from '../write/target-of-write.ts';
import { type CatalogFilter, catalogFilters, informationFilters } from './catalog-filters.ts';
import { computedFunctions, type ComputedFunction, sizeFunctions } from './computed-functions.ts';
import { computedRelations, type ComputedRelation } from './computed-relations.ts';

/** A place in a statement where something of the cluster's stands. */
export type ComputedUse =
  | { readonly kind: 'relation'; readonly rangeVar: RangeVar; readonly relation: ComputedRelation; readonly name: string }
  /** Of a relation of PostgreSQL's catalogs. */
  | { readonly kind: 'filter'; readonly rangeVar: RangeVar; readonly schema: string; readonly filter: CatalogFilter; readonly hidesShards: boolean }
  /** A function that gives rows, behind FROM; or alone in the target list of a query without FROM. */
  | { readonly kind: 'rows'; readonly call: FuncCall; readonly name: string; readonly relation: ComputedRelation; readonly arguments: UtilityCall; readonly place: CallPlace }
  /** A function whose arguments stay as they are. */
  | { readonly kind: 'function'; readonly call: FuncCall; readonly name: string; readonly computed: ComputedFunction; readonly place: CallPlace }
  /** PostgreSQL's `pg_get_viewdef`: the call stays as it is. */
  | { readonly kind: 'definition'; readonly call: FuncCall; readonly name: string; readonly place: CallPlace }
  /** A function of the cluster that gives one value. */
  | { readonly kind: 'value'; readonly call: FuncCall; readonly name: string; readonly arguments: UtilityCall; readonly place: CallPlace }
  /** `currval` or `lastval`, which the session knows. */
  | { readonly kind: 'current'; readonly call: FuncCall; readonly name: string; readonly place: CallPlace };

export type CallPlace =
  | { readonly kind: 'from'; readonly alias: string | undefined }
  | { readonly kind: 'only_target'; readonly isNamed: boolean }
  /** A column without a name is called by what stands in it. */
  | { readonly kind: 'names_column' }
  | { readonly kind: 'expression' };

export interface FindInput {
  readonly names: RelationNames;
  readonly describe: Pick<Describe, 'functions' | 'relations'>;
}

/** Functions that the session answers, by how many arguments they have. */
const currentFunctions: Readonly<Record<string, number>> = { currval: 1, lastval: 0 };

const definitionFunction = 'pg_get_viewdef';

/** Names of functions that give one value, and may stand anywhere, if their arguments are constants or parameters. */
const valueFunctions: ReadonlySet<string> = new Set(['get_shard_id_for_distribution_column']);

/** All of them, in a statement that reads or writes rows; empty for almost every one. What the user has made under such a name is the user's. */
export async function findComputed(statement: Statement, { names, describe }: FindInput): Promise<ComputedUse[]> {
  const analyzed = analyzeAny(statement.node, names);
  const target = 'SelectStmt' in statement.node ? undefined : targetOfWrite(statement);
  const relations = analyzed.foreign.map(({ rangeVar }) => rangeVar).filter((rangeVar) => rangeVar !== target);
  const called = relations.filter(({ schemaname, relname = '' }) => isComputedTable(relname) && (schemaname === undefined || schemaname === 'pg_catalog'));
  const taken = await describe.relations([...new Set(called.filter(({ schemaname }) => schemaname === undefined).map(({ relname = '' }) => relname))]);
  const uses = called.filter(({ schemaname, relname = '' }) => schemaname !== undefined || !taken.has(relname)).map((rangeVar): ComputedUse => {
    const name = rangeVar.relname ?? '';
    return { kind: 'relation', rangeVar, name, relation: relationOf(name) };
  });
  const calls = await findCalls(statement.node, { describe, hasTables: names.snapshot.tables.size > 0 });
  const filtered = analyzed.uses.length === 0 && mayFilter(statement.node) ? await findFiltered(relations, describe) : [];
  return [...uses, ...calls, ...filtered];
}

/** A database that is a node says so itself. */
async function findFiltered(relations: readonly RangeVar[], describe: FindInput['describe']): Promise<ComputedUse[]> {
  const found = relations.flatMap((rangeVar) => filterOf(rangeVar) ?? []);
  const hidesShards = found.some(({ filter }) => filter.relation !== undefined) && (await describe.relations(['shardwright.node_identity'])).size > 0;
  return found.map((use) => ({ kind: 'filter', ...use, hidesShards: hidesShards && use.filter.relation !== undefined }));
}

function isComputedTable(name: string): boolean {
  return Object.hasOwn(computedRelations, name) && computedRelations[name]?.kind === 'table';
}

function relationOf(name: string): ComputedRelation {
  const relation = computedRelations[name];
  if (relation === undefined) throw new Error(`unknown relation ${name}`);
  return relation;
}

function filterOf(rangeVar: RangeVar): { readonly rangeVar: RangeVar; readonly schema: string; readonly filter: CatalogFilter } | undefined {
  const { schemaname, relname = '', inh } = rangeVar;
  const filters = schemaname === undefined || schemaname === 'pg_catalog' ? catalogFilters : schemaname === 'information_schema' ? informationFilters : {};
  const filter = Object.hasOwn(filters, relname) ? filters[relname] : undefined;
  return filter === undefined || inh !== true ? undefined : { rangeVar, schema: schemaname ?? 'pg_catalog', filter };
}

/** Not where a query in the place of a catalog would not do: it cannot be sampled, has no key that columns could depend on, and its rows cannot be locked. */
function mayFilter(node: Node): boolean {
  if (holds(node, 'RangeTableSample', 'LockingClause')) return false;
  let groupsByKey = false;
  walk(node, (kind, body) => {
    const groups = kind === 'SelectStmt' ? (body as SelectStmt).groupClause : undefined;
    walk(groups, (inner, column) => {
      if (inner === 'ColumnRef') groupsByKey ||= nameParts((column as { fields?: Node[] }).fields).at(-1) === 'oid';
      return undefined;
    });
    return undefined;
  });
  return !groupsByKey;
}

interface CallInput {
  readonly describe: Pick<Describe, 'functions'>;
  /** Whether sizes could be those of shards, and definitions of views that the cluster fills. */
  readonly hasTables: boolean;
}

async function findCalls(node: Node, { describe, hasTables }: CallInput): Promise<ComputedUse[]> {
  const places = new Map<FuncCall, CallPlace>();
  const found: FuncCall[] = [];
  walk(node, (kind, body) => {
    if (kind === 'RangeFunction') notePlace(body, places);
    if (kind === 'SelectStmt') noteOnlyTarget(body, places);
    if (kind === 'ResTarget') noteUnnamed(body, places);
    if (kind === 'FuncCall' && isOfInterest(body, hasTables)) found.push(body);
    return undefined;
  });
  const own = found.filter(({ funcname }) => nameParts(funcname).length === 1).map(nameOf).filter((name) => !Object.hasOwn(sizeFunctions, name) && name !== definitionFunction);
  const users = own.length === 0 ? new Map() : await describe.functions([...new Set(own)]);
  return found.filter((call) => nameParts(call.funcname).length > 1 || !users.has(nameOf(call))).flatMap((call) => useOf(call, places.get(call) ?? { kind: 'expression' }) ?? []);
}

function nameOf({ funcname }: FuncCall): string {
  return nameParts(funcname).at(-1) ?? '';
}

function isOfInterest({ funcname }: FuncCall, hasTables: boolean): boolean {
  const parts = nameParts(funcname);
  const name = parts.at(-1) ?? '';
  if (parts.length > 2 || (parts.length === 2 && parts[0] !== 'pg_catalog')) return false;
  if (Object.hasOwn(sizeFunctions, name) || name === definitionFunction) return hasTables;
  return Object.hasOwn(computedFunctions, name) || valueFunctions.has(name) || Object.hasOwn(currentFunctions, name) || (Object.hasOwn(computedRelations, name) && (computedRelations[name]?.kind === 'function'));
}

/** Calls with ordinality or beside others in ROWS FROM have no place of this kind. */
function notePlace({ functions = [], alias, ordinality, is_rowsfrom: isRowsFrom, coldeflist }: RangeFunction, places: Map<FuncCall, CallPlace>): void {
  const [list, ...others] = functions;
  const call = list !== undefined && 'List' in list ? list.List.items?.[0] : undefined;
  if (call === undefined || !('FuncCall' in call) || others.length > 0 || ordinality === true || isRowsFrom === true || coldeflist !== undefined) return;
  places.set(call.FuncCall, { kind: 'from', alias: alias?.aliasname });
}

function noteOnlyTarget({ targetList = [], fromClause }: SelectStmt, places: Map<FuncCall, CallPlace>): void {
  const [target, ...others] = targetList;
  const only: ResTarget | undefined = target !== undefined && 'ResTarget' in target ? target.ResTarget : undefined;
  if (fromClause !== undefined || others.length > 0 || only?.val === undefined || !('FuncCall' in only.val)) return;
  places.set(only.val.FuncCall, { kind: 'only_target', isNamed: only.name !== undefined });
}

/** Calls of those functions below the value of a target without a name; in UPDATE and INSERT each has one. */
function noteUnnamed({ name, val }: ResTarget, places: Map<FuncCall, CallPlace>): void {
  if (name !== undefined) return;
  walk(val, (kind, body) => {
    if (kind === 'FuncCall' && !places.has(body) && Object.hasOwn(currentFunctions, nameOf(body))) places.set(body, { kind: 'names_column' });
    return kind !== 'SubLink';
  });
}

function useOf(call: FuncCall, place: CallPlace): ComputedUse | undefined {
  const name = nameOf(call);
  if (Object.hasOwn(currentFunctions, name)) return isCurrent(call, name) ? { kind: 'current', call, name, place } : undefined;
  if (name === definitionFunction) return call.over === undefined && !holds(call.args, 'WindowDef') ? { kind: 'definition', call, name, place } : undefined;
  const computed = Object.hasOwn(computedFunctions, name) ? computedFunctions[name] : Object.hasOwn(sizeFunctions, name) ? sizeFunctions[name] : undefined;
  if (computed !== undefined) {
    const count = call.args?.length ?? 0;
    // PostgreSQL says what is wrong with it.
    if (count < computed.least || count > computed.most || call.over !== undefined || call.agg_star === true) return undefined;
    if (holds(call.args, 'WindowDef')) throw unsupported(`An argument of ${name}() is a window function.`, 'Compute it in a subquery.');
    return { kind: 'function', call, name, computed, place };
  }
  const constants = callOf(call, name);
  if (constants === undefined) {
    if (call.args === undefined || !hasVariable(call.args)) return undefined;
    throw new ClusterError('invalidParameter', `arguments of ${name}() must be constants or parameters`, { detail: `The cluster computes it before the statement runs. Its arguments are: ${utilityFunctions[name]?.join(', ') ?? ''}.` });
  }
  if (valueFunctions.has(name)) return { kind: 'value', call, name, arguments: constants, place };
  if (place.kind === 'expression') throw new ClusterError('invalidParameter', `${name}() gives rows, and cannot stand in an expression or beside other columns`, { hint: `Write SELECT … FROM ${name}(…).` });
  return { kind: 'rows', call, name, relation: relationOf(name), arguments: constants, place };
}

/** Any other call is left to PostgreSQL, or refused. */
function isCurrent({ args = [], over, agg_star: star, func_variadic: variadic }: FuncCall, name: string): boolean {
  return args.length === currentFunctions[name] && over === undefined && star !== true && variadic !== true && !holds(args, 'ColumnRef', 'SubLink', 'NamedArgExpr') && !hasVolatileCall(args, builtinRules);
}

function hasVariable(args: readonly Node[]): boolean {
  return holds(args, 'ColumnRef', 'FuncCall', 'A_Expr', 'SubLink', 'CaseExpr', 'CoalesceExpr');
}

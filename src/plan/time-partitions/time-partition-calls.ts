import type { FuncCall, Node } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { namePartsOf } from '../../sql/identifiers.ts';
import { nameParts, walk } from '../../sql/ast.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { scanTokens } from '../../sql/scan.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import type { Describe } from '../describe.ts';
import type { DefinitionPlan } from '../ddl/definition-plan.ts';
import type { StatementPlan } from '../statement-plan.ts';

/** Citus's functions for tables that are partitioned by time: the coordinator database has them in schema `shardwright`. */
const functions: ReadonlySet<string> = new Set(['create_time_partitions', 'drop_old_time_partitions', 'get_missing_time_partition_ranges']);
const named = /create_time_partitions|drop_old_time_partitions|get_missing_time_partition_ranges/i;

/** The statement with these functions called where they are; undefined for one without. What the user has made under such a name is the user's. */
export async function withTimePartitionCalls(statement: Statement, describe: Pick<Describe, 'functions'>): Promise<Statement | undefined> {
  const called = named.test(statement.text) ? new Set(callsIn(statement.node).filter(({ funcname }) => nameParts(funcname)[0] !== 'shardwright').map(nameOf)) : new Set<string>();
  if (called.size === 0) return undefined;
  const users = await describe.functions([...called]);
  return withNames(statement, new Set([...called].filter((name) => !users.has(name))));
}

function withNames(statement: Statement, called: ReadonlySet<string>): Statement | undefined {
  const tokens = scanTokens(statement.text);
  const edits = tokens.flatMap(({ start, end, text }, i): Edit<never>[] => {
    const name = text.replaceAll('"', '').toLowerCase();
    if (!called.has(name) || tokens[i + 1]?.text !== '(') return [];
    if (tokens[i - 1]?.text !== '.') return [{ start, end, parts: [`shardwright.${name}`] }];
    const schema = tokens[i - 2];
    return schema?.text.toLowerCase() === 'pg_catalog' ? [{ start: schema.start, end, parts: [`shardwright.${name}`] }] : [];
  });
  return edits.length === 0 ? undefined : parseOne(fillTemplate(applyEdits<never>(statement.text, edits), () => ''));
}

/**
 * The plan of `SELECT create_time_partitions(…)` or `CALL drop_old_time_partitions(…)`, which change the shells of partitioned tables, and of local ones: shards follow. Undefined for any other statement. `invalidParameter` where the first stands in a larger statement.
 */
export function planTimePartitions({ node, text }: Statement, names: RelationNames): StatementPlan | undefined {
  const calls = named.test(text) ? callsIn(node).filter(({ funcname }) => nameParts(funcname)[0] === 'shardwright') : [];
  const call = calls.find((one) => nameOf(one) !== 'get_missing_time_partition_ranges');
  // The statement within is planned by itself.
  if (call === undefined || 'ExplainStmt' in node || 'PrepareStmt' in node) return undefined;
  if (!('CallStmt' in node) && !('SelectStmt' in node && isAlone(node, call))) throw notAlone(nameOf(call));
  const table = tableOf(call, names);
  return table === 'local' ? { kind: 'coordinator', text, effect: 'write' } : definition(text, table);
}

function notAlone(name: string): ClusterError {
  return new ClusterError('invalidParameter', `${name}() changes definitions, and must be called alone`, { hint: `Make a statement of its own of it: SELECT ${name}(…).` });
}

function definition(text: string, table: CatalogTable | undefined): DefinitionPlan {
  return {
    kind: 'definition', text, tables: table === undefined ? [] : [table], reach: table === undefined ? 'all' : 'named', droppedSchemas: [], conversions: new Map(), addedConstraints: new Set(), attached: undefined, isAlone: false, referenced: [],
    checksRows: false, code: undefined, makesTables: false, schemas: undefined, everywhere: undefined,
  };
}

/** The table that a constant names; undefined where only a value will tell. */
function tableOf({ args = [] }: FuncCall, names: RelationNames): CatalogTable | 'local' | undefined {
  if (names.snapshot.tables.size === 0) return 'local';
  const argument = args.find((node) => 'NamedArgExpr' in node && node.NamedArgExpr.name === 'table_name') ?? args[0];
  const value = argument !== undefined && 'NamedArgExpr' in argument ? argument.NamedArgExpr.arg : argument;
  const bare = value !== undefined && 'TypeCast' in value ? value.TypeCast.arg : value;
  const text = bare !== undefined && 'A_Const' in bare ? bare.A_Const.sval?.sval : undefined;
  if (text === undefined) return undefined;
  const parts = namePartsOf(text);
  return names.resolve(parts.at(-2), parts.at(-1) ?? '') ?? 'local';
}

/** Whether there is nothing else in the query: `SELECT f(…)`, `SELECT * FROM f(…)`. */
function isAlone(node: Extract<Node, { SelectStmt: unknown }>, call: FuncCall): boolean {
  const { targetList = [], fromClause = [], whereClause, withClause, larg } = node.SelectStmt;
  const [target] = targetList;
  const [item] = fromClause;
  const calls = new Set<unknown>();
  if (target !== undefined && 'ResTarget' in target && target.ResTarget.val !== undefined && 'FuncCall' in target.ResTarget.val) calls.add(target.ResTarget.val.FuncCall);
  const list = item !== undefined && 'RangeFunction' in item ? item.RangeFunction.functions?.[0] : undefined;
  const first = list !== undefined && 'List' in list ? list.List.items?.[0] : undefined;
  if (first !== undefined && 'FuncCall' in first) calls.add(first.FuncCall);
  return calls.has(call) && targetList.length === 1 && fromClause.length <= 1 && whereClause === undefined && withClause === undefined && larg === undefined;
}

function nameOf({ funcname }: FuncCall): string {
  return nameParts(funcname).at(-1) ?? '';
}

function callsIn(tree: Node): FuncCall[] {
  const found: FuncCall[] = 'CallStmt' in tree && tree.CallStmt.funccall !== undefined && functions.has(nameOf(tree.CallStmt.funccall)) ? [tree.CallStmt.funccall] : [];
  walk(tree, (kind, body) => {
    if (kind === 'FuncCall' && !found.includes(body) && functions.has(nameOf(body))) found.push(body);
    return undefined;
  });
  return found;
}

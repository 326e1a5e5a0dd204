import { ClusterError } from '../base/errors.ts';
import type { FuncCall, Node } from '@pgsql/types';
import { collectCalls } from '../analyze/function-calls.ts';
import type { CatalogTable, Column } from '../catalog/catalog-snapshot.ts';
import { builtinName, nameParts } from '../sql/ast.ts';
import { quoteLiteral } from '../sql/identifiers.ts';
import { refused } from './insert/refused.ts';
import { unsupported } from './select/unsupported.ts';

const sessionValues: ReadonlySet<string> = new Set(['currval', 'lastval']);
const sessionFunctions: ReadonlySet<string> = new Set([...sessionValues, 'setval']);
const sequenceFunctions: ReadonlySet<string> = new Set(['nextval', ...sessionFunctions]);

/** Whether a function of sequences is called: they are in the coordinator database alone. */
export function usesSequence(tree: unknown): boolean {
  return callsOneOf(tree, sequenceFunctions);
}

function callsOneOf(tree: unknown, functions: ReadonlySet<string>): boolean {
  let found = false;
  collectCalls(tree, (call) => {
    found ||= functions.has(builtinName(call.funcname) ?? '');
    return !found;
  }, true);
  return found;
}

/** The sequence of a call that is `nextval` of a constant, and nothing else. */
export function nextOf(node: Node): string | undefined {
  if (!('FuncCall' in node) || builtinName(node.FuncCall.funcname) !== 'nextval') return undefined;
  const [argument] = node.FuncCall.args ?? [];
  return argument === undefined ? undefined : sequenceName(argument);
}

const typesOfNames: ReadonlySet<string> = new Set(['regclass', 'text']);

/** The text of a constant that names a sequence, with or without `::regclass` or `::text`. */
export function sequenceName(node: Node): string | undefined {
  const inner = withoutNameType(node);
  return 'A_Const' in inner ? inner.A_Const.sval?.sval : undefined;
}

function withoutNameType(node: Node): Node {
  if ('TypeCast' in node && node.TypeCast.arg !== undefined && typesOfNames.has(nameParts(node.TypeCast.typeName?.names).at(-1) ?? '')) return withoutNameType(node.TypeCast.arg);
  return node;
}

/** Of a call of `nextval(pg_get_serial_sequence('table', 'column'))`, of constants: the inner call. */
export function ownedSequence({ args: [argument] = [] }: FuncCall): string | undefined {
  const inner = argument === undefined ? undefined : withoutNameType(argument);
  if (inner === undefined || !('FuncCall' in inner) || builtinName(inner.FuncCall.funcname) !== 'pg_get_serial_sequence') return undefined;
  const names = (inner.FuncCall.args ?? []).map(sequenceName);
  return names.length === 2 && names.every((name) => name !== undefined) ? `pg_catalog.pg_get_serial_sequence(${names.map(quoteLiteral).join(', ')})` : undefined;
}

const changingFunctions: ReadonlySet<string> = new Set(['nextval', 'setval']);

/** Whether values of a sequence are taken, or its value set, by a call, at any level. */
export function changesSequence(tree: unknown): boolean {
  return callsOneOf(tree, changingFunctions);
}

/** What a session has taken is between it and the coordinator database: for queries, in the places where the session does not answer for it. */
export function refuseSessionValues(tree: unknown): void {
  refuseCalls(tree, sessionValues);
}

/** For what runs on nodes: the same, and what is set. */
export function refuseSequences(tree: unknown): void {
  refuseCalls(tree, sessionFunctions);
}

function refuseCalls(tree: unknown, functions: ReadonlySet<string>): void {
  if (callsOneOf(tree, functions)) throw unsupported('A function of sequences is called where nodes run it, and sequences are in the coordinator database.', 'Call it by a statement of its own, and pass its result as a parameter.');
}

/**
 * `SET column = DEFAULT`: statements that are sent to several shard groups would each have their own `now()`; copies of a reference table must not differ. Values of sequences come in blocks (`drawn-values.ts`), of which each copy would have its own. And 428C9 for anything but DEFAULT in an identity column that is GENERATED ALWAYS, which shards do not know of.
 */
export function refuseDefaults(assigned: readonly Node[], table: CatalogTable, sentTo: 'one_node' | 'shard_groups' | 'copies'): void {
  for (const { column, isDefault } of assignmentsTo(assigned, table)) {
    if (column.identity === 'always' && !isDefault) throw onlyDefault(column.name);
    if (!isDefault || column.default === undefined) continue;
    const { default: meant } = column;
    const isSafe = meant.kind === 'sequence' ? sentTo !== 'copies' : meant.ofCoordinator !== true && (sentTo === 'one_node' || meant.volatility === 'immutable' || (sentTo === 'shard_groups' && meant.volatility === 'volatile'));
    if (!isSafe) throw refused(`Column "${column.name}" is set to its default, which nodes cannot compute alike.`, 'Compute the value first, and pass it as a parameter.');
  }
}

/** Whether a column is set to a default that each copy of a reference table would compute for itself. */
export function defaultsVary(assigned: readonly Node[], table: CatalogTable): boolean {
  return assignmentsTo(assigned, table).some(({ column: { default: meant }, isDefault }) => isDefault && meant !== undefined && (meant.kind === 'sequence' || meant.volatility !== 'immutable'));
}

/** What a column is assigned: DEFAULT, where in the text that stands, or anything else. */
interface Assignment {
  readonly column: Column;
  readonly isDefault: boolean;
  readonly location: number;
}

/** Of `SET`'s list, in its order, without what names no column of the table. */
export function assignmentsTo(assigned: readonly Node[], { columns }: CatalogTable): Assignment[] {
  return assigned.flatMap((item, i) => {
    const target = 'ResTarget' in item ? item.ResTarget : undefined;
    const column = columns.find(({ name }) => name === target?.name);
    if (column === undefined) return [];
    const value = target?.val === undefined ? undefined : singleValue(target.val, assigned, i);
    const isDefault = value !== undefined && 'SetToDefault' in value;
    return [{ column, isDefault, location: isDefault ? (value.SetToDefault.location ?? 0) : 0 }];
  });
}

function onlyDefault(column: string): ClusterError {
  return new ClusterError('invalidParameter', `column "${column}" can only be updated to DEFAULT`, { sqlState: '428C9', detail: `Column "${column}" is an identity column defined as GENERATED ALWAYS.` });
}

/** What one column of `(a, b) = (1, DEFAULT)` gets. The row stands at the first of its columns alone. */
function singleValue(value: Node, assigned: readonly Node[], index: number): Node | undefined {
  if (!('MultiAssignRef' in value)) return value;
  const { colno = 1 } = value.MultiAssignRef;
  const first = assigned[index - colno + 1];
  const source = first !== undefined && 'ResTarget' in first && first.ResTarget.val !== undefined && 'MultiAssignRef' in first.ResTarget.val ? first.ResTarget.val.MultiAssignRef.source : undefined;
  return source !== undefined && 'RowExpr' in source ? source.RowExpr.args?.[colno - 1] : undefined;
}

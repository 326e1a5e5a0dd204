import type { CopyStmt, FuncCall, InsertStmt, Node, RangeVar } from '@pgsql/types';
import { namedRelations } from '../analyze/analyze-statement.ts';
import { builtinAggregates, collectCalls } from '../analyze/function-calls.ts';
import { builtinName, holds, nameParts, walk } from '../sql/ast.ts';
import { sequenceName } from '../plan/sequence-use.ts';
import { quoteName } from '../sql/identifiers.ts';
import { parseOne, type Statement } from '../sql/parse.ts';

/** What a statement that a server runs may do to sequences, as far as its text says. Values that the cluster supplies are none of it. */
export type SequenceEffects =
  | { readonly kind: 'none' }
  /** Nobody can tell. `ours`: the cluster itself has taken values of its own sequences in its transaction. */
  | { readonly kind: 'unknown'; readonly ours: boolean }
  | NamedEffects;

/** Of what it names, depends what it does. */
export interface NamedEffects {
  readonly kind: 'named';
  /** Sequences that it calls nextval or setval of, as their names stand in constants. */
  readonly sequences: readonly SequenceCall[];
  /** Names, without schemas, of the other functions that it calls. */
  readonly functions: readonly string[];
  /** What it reads and writes, as SQL names it. */
  readonly relations: readonly string[];
  /** Those of them that may be common table expressions of its own. */
  readonly common: ReadonlySet<string>;
  readonly writes: boolean;
  /** Relations in which it may use defaults, but for those of the columns that it gives values. */
  readonly fills: readonly Filled[];
}

export interface Filled {
  readonly relation: string;
  readonly given: readonly string[];
}

export interface SequenceCall {
  readonly sequence: string;
  /** setval is no use of the sequence, as lastval knows them; the last value of one that was used it changes. */
  readonly sets: boolean;
}

const none: SequenceEffects = { kind: 'none' };
const unknown: SequenceEffects = { kind: 'unknown', ours: false };

interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** `ours`: distributed and reference tables that its names mean. */
export function sequenceEffects({ node }: Statement, ours: readonly TableName[] = []): SequenceEffects {
  const [kind = ''] = Object.keys(node);
  if (quietKinds.has(kind)) return none;
  // What CASCADE reaches may have triggers.
  if (!legibleKinds.has(kind) || ('TruncateStmt' in node && node.TruncateStmt.behavior === 'DROP_CASCADE')) return unknown;
  const sequences: SequenceCall[] = [];
  const functions = new Set<string>();
  let isLegible = true;
  collectCalls(node, (call) => {
    const taken = takenBy(call);
    if (taken === null) addName(call, functions);
    else if (taken !== undefined) sequences.push(taken);
    isLegible &&= taken !== undefined && !runsTexts.test(builtinName(call.funcname) ?? '');
    return true;
  }, true);
  if (!isLegible) return unknown;
  const relations = relationsOf(node, ours);
  const common = new Set(relations.length === 0 ? [] : commonNames(node));
  return sequences.length + functions.size + relations.length === 0 ? none : { kind: 'named', sequences, functions: [...functions], relations, common, writes: writes(node), fills: fillsOf(node) };
}

/** The same without a call of nextval of each of these sequences: as often as one is named. */
export function withoutCalls(effects: SequenceEffects, seen: readonly string[]): SequenceEffects {
  if (effects.kind !== 'named' || seen.length === 0) return effects;
  const sequences = [...effects.sequences];
  for (const name of seen) {
    const place = sequences.findIndex(({ sequence, sets }) => sequence === name && !sets);
    if (place >= 0) sequences.splice(place, 1);
  }
  return sequences.length + effects.functions.length + effects.relations.length === 0 ? none : { ...effects, sequences };
}

/** The same, with the functions that these expressions call besides; what they take of sequences is not looked at. */
export function alsoCalling(effects: SequenceEffects, expressions: readonly string[]): SequenceEffects {
  if (effects.kind === 'unknown' || expressions.length === 0) return effects;
  const functions = new Set(effects.kind === 'named' ? effects.functions : []);
  collectCalls(expressions.map((sql) => parseOne(`SELECT ${sql}`).node), (call) => {
    if (takenBy(call) === null) addName(call, functions);
    return true;
  }, true);
  if (functions.size === 0) return effects;
  return effects.kind === 'named' ? { ...effects, functions: [...functions] } : { kind: 'named', sequences: [], functions: [...functions], relations: [], common: new Set(), writes: true, fills: [] };
}

function addName({ funcname }: FuncCall, names: Set<string>): void {
  const name = nameParts(funcname).at(-1) ?? '';
  if (!builtinAggregates.has(name) && name !== 'currval' && name !== 'lastval') names.add(name);
}

/** The same of what changes definitions of the cluster's tables: it may take values of sequences for rows, and for the catalog. */
export function effectsOfDefinition({ node }: Statement): SequenceEffects {
  const [kind = ''] = Object.keys(node);
  return quietKinds.has(kind) && kind !== 'CreateStmt' ? none : { kind: 'unknown', ours: true };
}

/** Statements that take values of no sequence, whatever they name. */
const quietKinds: ReadonlySet<string> = new Set([
  'VariableSetStmt', 'VariableShowStmt', 'TransactionStmt', 'ConstraintsSetStmt', 'DiscardStmt', 'ListenStmt', 'UnlistenStmt', 'NotifyStmt', 'LockStmt', 'ClosePortalStmt', 'PrepareStmt', 'DeallocateStmt', 'VacuumStmt',
  'CreateStmt', 'IndexStmt', 'ViewStmt', 'DropStmt', 'RenameStmt', 'CreateFunctionStmt', 'CreateTrigStmt', 'CreateEnumStmt', 'CompositeTypeStmt', 'CreateDomainStmt', 'CreateRoleStmt', 'AlterRoleStmt', 'CommentStmt', 'GrantStmt', 'GrantRoleStmt', 'CreateSeqStmt', 'AlterSeqStmt', 'CheckPointStmt',
]);

/** Those of which it depends on what they name. */
const legibleKinds: ReadonlySet<string> = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'DeclareCursorStmt', 'ExplainStmt', 'CreateTableAsStmt', 'CopyStmt', 'TruncateStmt']);

/** Functions of PostgreSQL that run texts. */
const runsTexts = /^(query_to_|cursor_to_|table_to_xml|schema_to_|database_to_|ts_stat$|ts_rewrite$)/;

/** The sequence that a call changes; null where it changes none, undefined where that cannot be told. */
function takenBy(call: FuncCall): SequenceCall | null | undefined {
  const name = builtinName(call.funcname);
  if (name !== 'nextval' && name !== 'setval') return null;
  const [argument] = call.args ?? [];
  const sequence = argument === undefined ? undefined : sequenceName(argument);
  return sequence === undefined ? undefined : { sequence, sets: name === 'setval' };
}

function relationsOf(node: Node, ours: readonly TableName[]): string[] {
  const copied: Pick<CopyStmt, 'relation'> = 'CopyStmt' in node ? node.CopyStmt : {};
  const named = [...namedRelations(node), ...(copied.relation === undefined ? [] : [copied.relation])];
  const others = named.filter(({ schemaname, relname }) => schemaname !== 'pg_catalog' && !ours.some(({ schema, name }) => name === relname && (schemaname === undefined || schemaname === schema)));
  return [...new Set(others.map(({ schemaname, relname = '' }) => quoteName(schemaname, relname)))];
}

function commonNames(node: Node): string[] {
  const names: string[] = [];
  walk(node, (kind, body) => {
    if (kind === 'CommonTableExpr' && 'ctename' in body) names.push(quoteName(undefined, String(body.ctename)));
    return undefined;
  });
  return names;
}

function writes(node: Node): boolean {
  let found = 'TruncateStmt' in node || ('CopyStmt' in node && node.CopyStmt.is_from === true);
  walk([node], (kind) => {
    found ||= writing.has(kind);
    return !found;
  });
  return found;
}

function fillsOf(node: Node): Filled[] {
  if ('CopyStmt' in node) return [{ relation: nameOf(node.CopyStmt), given: (node.CopyStmt.attlist ?? []).map((item) => ('String' in item ? (item.String.sval ?? '') : '')) }];
  const fills: Filled[] = [];
  walk([node], (kind, body) => {
    if (!writing.has(kind)) return undefined;
    const { relation, cols = [], selectStmt }: Pick<InsertStmt, 'relation' | 'cols' | 'selectStmt'> = body;
    const usesDefaults = holds(body, 'SetToDefault');
    if (kind === 'InsertStmt' && !usesDefaults && selectStmt !== undefined) fills.push({ relation: nameOf({ relation }), given: cols.flatMap((item) => ('ResTarget' in item ? [item.ResTarget.name ?? ''] : [])) });
    else if (usesDefaults || kind === 'InsertStmt' || kind === 'MergeStmt') fills.push({ relation: nameOf({ relation }), given: [] });
    return undefined;
  });
  return fills;
}

function nameOf({ relation }: { readonly relation?: RangeVar | undefined }): string {
  return quoteName(relation?.schemaname, relation?.relname ?? '');
}

const writing: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

/** `SELECT nextval('a')`, or setval, and nothing else: its result says what it has done. Undefined for anything else. */
export function plainCall({ node }: Statement): SequenceCall | undefined {
  const select = 'SelectStmt' in node ? node.SelectStmt : undefined;
  const [target, ...others] = select?.targetList ?? [];
  const value = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  if (select === undefined || value === undefined || others.length > 0 || Object.keys(select).some((key) => !plainFields.has(key)) || !('FuncCall' in value)) return undefined;
  const { funcname, args = [] } = value.FuncCall;
  const name = builtinName(funcname);
  const sequence = args[0] === undefined ? undefined : sequenceName(args[0]);
  if (sequence === undefined || (name === 'nextval' ? args.length !== 1 : name !== 'setval' || args.length !== 2)) return undefined;
  return { sequence, sets: name === 'setval' };
}

const plainFields: ReadonlySet<string> = new Set(['targetList', 'limitOption', 'op']);

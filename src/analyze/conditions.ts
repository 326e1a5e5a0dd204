import type { A_Expr, Node } from '@pgsql/types';
import { conjuncts, nameParts } from '../sql/ast.ts';
import type { ConstantSet, ConstantSource, SettingSource } from './constant-set.ts';
import { unionSets } from './constant-set.ts';
import type { ColumnId, Fact } from './facts.ts';
import { comparableTypes, typeFamily } from './type-family.ts';
import type { Scope, VisibleColumn } from './scope.ts';
import { resolveColumn } from './scope.ts';
import { settingOf, textSetting } from './setting-source.ts';

export interface ConditionFacts {
  readonly facts: readonly Fact[];
  /** Columns of which the condition is certainly not true when they are NULL. */
  readonly strict: ReadonlySet<ColumnId>;
}

/**
 * What a condition makes certain when it is true. Understood: AND; `=` between columns of like type, and of a column with a constant or a
 * parameter, or with a setting of the session; IN lists; `= ANY (array)`; rows compared by `=`; OR where each branch restricts the same column. Whatever else stands there only
 * leaves facts out, never adds a wrong one.
 */
export function factsOfCondition(condition: Node | undefined, scope: Scope): ConditionFacts {
  const facts: Fact[] = [];
  const strict = new Set<ColumnId>();
  for (const conjunct of conjuncts(condition)) {
    facts.push(...factsOfConjunct(conjunct, scope));
    for (const column of strictColumns(conjunct, scope)) strict.add(column);
  }
  return { facts, strict };
}

function factsOfConjunct(node: Node, scope: Scope): readonly Fact[] {
  if ('BoolExpr' in node && node.BoolExpr.boolop === 'OR_EXPR') return factsOfOr(node.BoolExpr.args ?? [], scope);
  if (!('A_Expr' in node) || !isEquals(node.A_Expr)) return [];
  const { kind, lexpr, rexpr } = node.A_Expr;
  if (lexpr === undefined || rexpr === undefined) return [];
  switch (kind) {
    case 'AEXPR_OP':
      return factsOfEquality(lexpr, rexpr, scope);
    case 'AEXPR_IN':
      return 'List' in rexpr ? factsOfIn(lexpr, rexpr.List.items ?? [], scope) : [];
    case 'AEXPR_OP_ANY':
      return factsOfAny(lexpr, rexpr, scope);
    default:
      return [];
  }
}

function isEquals({ name }: A_Expr): boolean {
  const parts = nameParts(name);
  return parts.at(-1) === '=' && (parts.length === 1 || parts[0] === 'pg_catalog');
}

function factsOfEquality(left: Node, right: Node, scope: Scope): readonly Fact[] {
  if ('RowExpr' in left && 'RowExpr' in right) {
    const rights = right.RowExpr.args ?? [];
    return (left.RowExpr.args ?? []).flatMap((item, i) => {
      const other = rights[i];
      return other === undefined ? [] : factsOfEquality(item, other, scope);
    });
  }
  const a = columnOf(left, scope);
  const b = columnOf(right, scope);
  if (a !== undefined && b !== undefined) {
    return comparableTypes(a.type, b.type) ? [{ kind: 'equal', a: a.id, b: b.id }] : [];
  }
  if (a !== undefined) return among(a, [right]);
  if (b !== undefined) return among(b, [left]);
  return [...amongTexts(left, right, scope), ...amongTexts(right, left, scope)];
}

function factsOfIn(left: Node, items: readonly Node[], scope: Scope): readonly Fact[] {
  const column = columnOf(left, scope);
  if (column !== undefined) return among(column, items);
  if (!('RowExpr' in left)) return [];
  return (left.RowExpr.args ?? []).flatMap((part, i) => {
    const partColumn = columnOf(part, scope);
    if (partColumn === undefined) return [];
    const values = items.map((item) => ('RowExpr' in item ? item.RowExpr.args?.[i] : undefined));
    const known = values.filter((value) => value !== undefined);
    return known.length === values.length ? among(partColumn, known) : [];
  });
}

function factsOfAny(left: Node, right: Node, scope: Scope): readonly Fact[] {
  const column = columnOf(left, scope);
  if (column === undefined || typeFamily(column.type) === undefined) return [];
  const array = withoutCast(right, (name) => comparableTypes(name, column.type), true);
  if (array === undefined) return [];
  if ('A_ArrayExpr' in array) return among(column, array.A_ArrayExpr.elements ?? []);
  if ('ParamRef' in array) {
    const set: ConstantSet = { values: [], arrays: [array.ParamRef.number ?? 0] };
    return [{ kind: 'among', column: column.id, set }];
  }
  return [];
}

function among(column: VisibleColumn, nodes: readonly Node[]): readonly Fact[] {
  const values: (ConstantSource | SettingSource)[] = [];
  for (const node of nodes) {
    const value = constantOf(node, column.type) ?? settingOf(node, column.type);
    if (value === undefined) return [];
    values.push(value);
  }
  return [{ kind: 'among', column: column.id, set: { values, arrays: [] } }];
}

/** `tenant_id::text = current_setting(…)`: where a column's text is the setting, the setting read as its type is the column. */
function amongTexts(left: Node, right: Node, scope: Scope): readonly Fact[] {
  const bare = withoutCast(left, (name) => typeFamily(name) === 'text');
  const column = bare === undefined || bare === left ? undefined : columnOf(bare, scope);
  if (column === undefined || !['integer', 'uuid'].includes(typeFamily(column.type) ?? '')) return [];
  const setting = textSetting(right);
  return setting === undefined ? [] : [{ kind: 'among', column: column.id, set: { values: [setting], arrays: [] } }];
}

/** Each branch must restrict one and the same column; then it is among the union. */
function factsOfOr(branches: readonly Node[], scope: Scope): readonly Fact[] {
  const sets = branches.map((branch) => {
    const byColumn = new Map<ColumnId, ConstantSet>();
    for (const fact of factsOfCondition(branch, scope).facts) {
      if (fact.kind === 'among') byColumn.set(fact.column, fact.set);
    }
    return byColumn;
  });
  const [first, ...others] = sets;
  const facts: Fact[] = [];
  for (const [column, set] of first ?? []) {
    const rest = others.map((other) => other.get(column)).filter((other) => other !== undefined);
    if (rest.length === others.length) facts.push({ kind: 'among', column, set: unionSets([set, ...rest]) });
  }
  return facts;
}

function columnOf(node: Node, scope: Scope): VisibleColumn | undefined {
  return 'ColumnRef' in node ? resolveColumn(scope, node.ColumnRef.fields) : undefined;
}

/** A constant or parameter that compares with a column of `type` as a value of that type. */
export function constantOf(node: Node, type: string | undefined): ConstantSource | undefined {
  const family = typeFamily(type);
  if (family === undefined) return undefined;
  const bare = withoutCast(node, (name) => comparableTypes(name, type));
  if (bare === undefined) return undefined;
  if ('ParamRef' in bare) return { kind: 'parameter', number: bare.ParamRef.number ?? 0 };
  if (!('A_Const' in bare)) return undefined;
  const { isnull, ival, fval, sval, boolval } = bare.A_Const;
  if (isnull === true) return { kind: 'literal', text: null };
  if (sval !== undefined) return { kind: 'literal', text: sval.sval ?? '' };
  if (boolval !== undefined) return family === 'boolean' ? { kind: 'literal', text: String(boolval.boolval ?? false) } : undefined;
  const number = ival === undefined ? fval?.fval : String(ival.ival ?? 0);
  if (number === undefined) return undefined;
  if (family === 'integer') return /^-?\d+$/.test(number) ? { kind: 'literal', text: number } : undefined;
  return family === 'numeric' ? { kind: 'literal', text: number } : undefined;
}

/** The node below a cast to a type that `accept` takes, or to an array of it; undefined below any other cast. */
function withoutCast(node: Node, accept: (type: string) => boolean, expectsArray = false): Node | undefined {
  if (!('TypeCast' in node)) return node;
  const { arg, typeName } = node.TypeCast;
  if (arg === undefined || 'TypeCast' in arg || (typeName?.typmods?.length ?? 0) > 0) return undefined;
  const parts = nameParts(typeName?.names);
  const name = parts.at(-1);
  if (name === undefined || (parts.length > 1 && parts[0] !== 'pg_catalog')) return undefined;
  if ((typeName?.arrayBounds?.length ?? 0) > 0 !== expectsArray) return undefined;
  return accept(name) ? arg : undefined;
}

/** Columns that a conjunct compares directly: all of PostgreSQL's comparison operators are strict. */
function strictColumns(node: Node, scope: Scope): ColumnId[] {
  if ('NullTest' in node && node.NullTest.nulltesttype === 'IS_NOT_NULL') return idsOf([node.NullTest.arg], scope);
  if (!('A_Expr' in node)) return [];
  const { kind, name, lexpr, rexpr } = node.A_Expr;
  if (!comparisons.has(nameParts(name).join('.'))) return [];
  if (kind === 'AEXPR_OP') return [...idsOf([lexpr], scope), ...idsOf([rexpr], scope)];
  return kind === 'AEXPR_IN' && nameParts(name)[0] === '=' ? idsOf([lexpr], scope) : [];
}

const comparisons: ReadonlySet<string> = new Set(['=', '<', '>', '<=', '>=', '<>']);

function idsOf(nodes: readonly (Node | undefined)[], scope: Scope): ColumnId[] {
  return nodes.flatMap((node) => {
    if (node === undefined) return [];
    if ('RowExpr' in node) return [];
    return columnOf(node, scope)?.id ?? [];
  });
}

import type { Node, RangeVar } from '@pgsql/types';

export type * from '@pgsql/types';

/** Every object that the parser makes: a wrapped node, an unwrapped one, or a list. */
type Tree = unknown;

/**
 * Calls `visit` for each wrapped node below and including `tree`, parents first, as (kind, body). Returning false leaves out
 * what is below. Unwrapped nodes (a statement's RangeVar, WithClause and so on) are passed with the kind of their field's type where the
 * field is one of `unwrapped`.
 */
export function walk(tree: Tree, visit: (kind: string, body: object) => boolean | undefined): void {
  if (Array.isArray(tree)) {
    for (const item of tree) walk(item, visit);
    return;
  }
  if (typeof tree !== 'object' || tree === null) return;
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value !== 'object' || value === null) continue;
    const kind = isNodeKind(key) ? key : unwrapped[key];
    if (kind !== undefined && !Array.isArray(value) && visit(kind, value) === false) continue;
    walk(value, visit);
  }
}

/** Whether a node of one of these kinds stands anywhere in the tree. */
export function holds(tree: Tree, ...kinds: readonly string[]): boolean {
  let found = false;
  walk(tree, (kind) => {
    found ||= kinds.includes(kind);
    return !found;
  });
  return found;
}

/** Node kinds are in PascalCase, field names are not. */
function isNodeKind(key: string): boolean {
  const first = key.charCodeAt(0);
  return first >= 65 && first <= 90;
}

const unwrapped: Readonly<Record<string, string>> = {
  relation: 'RangeVar',
  larg: 'SelectStmt',
  rarg: 'SelectStmt',
  withClause: 'WithClause',
  over: 'WindowDef',
};

/** A copy of `tree` in which `replace` may put another node for a wrapped one; what it leaves is shared, not copied. */
export function replaceNodes<T>(tree: T, replace: (node: Node) => Node | undefined): T {
  return replaceTree(tree, replace) as T;
}

function replaceTree(tree: Tree, replace: (node: Node) => Node | undefined): Tree {
  if (Array.isArray(tree)) {
    const copies = tree.map((item) => replaceTree(item, replace));
    return copies.every((copy, i) => copy === tree[i]) ? tree : copies;
  }
  if (typeof tree !== 'object' || tree === null) return tree;
  const entries = Object.entries(tree);
  const only = entries.length === 1 ? entries[0] : undefined;
  if (only !== undefined && isNodeKind(only[0])) {
    const replaced = replace(tree as Node);
    if (replaced !== undefined) return replaced;
  }
  let changed = false;
  const copy = entries.map(([key, value]): [string, Tree] => {
    const next = replaceTree(value, replace);
    changed ||= next !== value;
    return [key, next];
  });
  return changed ? Object.fromEntries(copy) : tree;
}

/** Whether two trees are the same but for where they stand in the text. */
export function sameTree(a: Tree, b: Tree): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => sameTree(item, b[i]));
  }
  const keysA = Object.keys(a).filter(isMeaningful);
  const keysB = Object.keys(b).filter(isMeaningful);
  if (keysA.length !== keysB.length) return false;
  return keysA.every((key) => key in b && sameTree(field(a, key), field(b, key)));
}

function isMeaningful(key: string): boolean {
  return key !== 'location' && !key.endsWith('_location') && !positionFields.has(key);
}

const positionFields = new Set(['rexpr_list_start', 'rexpr_list_end', 'list_start', 'list_end', 'name_location', 'stmt_len']);

function field(object: object, key: string): unknown {
  return Reflect.get(object, key);
}

/** The name that a relation has in its FROM list. */
export function relationAlias({ alias, relname = '' }: RangeVar): string {
  return alias?.aliasname ?? relname;
}

/** The parts of a dotted name; `*` for a star. */
export function nameParts(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).map((node) => {
    if ('String' in node) return node.String.sval ?? '';
    return '*';
  });
}

/** The name of a called function without its schema, or undefined when it is in a schema other than pg_catalog. */
export function builtinName(nodes: readonly Node[] | undefined): string | undefined {
  const parts = nameParts(nodes);
  if (parts.length === 1) return parts[0];
  return parts.length === 2 && parts[0] === 'pg_catalog' ? parts[1] : undefined;
}

/** Of `(a, b) = (SELECT …)` the tree has the query at each column; it is meant once, at the first. */
export function isFurtherAssignment(tree: object): boolean {
  return 'source' in tree && 'colno' in tree && Number(tree.colno) > 1;
}

/** The conjuncts of a condition; a missing condition has none. */
export function conjuncts(condition: Node | undefined): Node[] {
  if (condition === undefined) return [];
  if ('BoolExpr' in condition && condition.BoolExpr.boolop === 'AND_EXPR') {
    return (condition.BoolExpr.args ?? []).flatMap(conjuncts);
  }
  return [condition];
}

/** INSERT, UPDATE, DELETE or MERGE. */
export function writesRows(node: Node): boolean {
  return 'InsertStmt' in node || 'UpdateStmt' in node || 'DeleteStmt' in node || 'MergeStmt' in node;
}

/** Whether it is one of the statements that most of all are, which change nothing of the session but by the functions that they call. */
export function readsOrWrites(node: Node): boolean {
  return 'SelectStmt' in node || writesRows(node);
}

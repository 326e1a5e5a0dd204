import type { Node } from '@pgsql/types';
import { present } from '../base/assert.ts';
import type { ConstantSet } from '../analyze/constant-set.ts';
import { comparableTypes } from '../analyze/type-family.ts';
import { replaceNodes, walk } from '../sql/ast.ts';
import { parseOne } from '../sql/parse.ts';

/** How often each parameter stands in a tree. */
export function parameterUses(tree: unknown): Map<number, number> {
  const uses = new Map<number, number>();
  walk(tree, (kind, body) => {
    if (kind === 'ParamRef' && 'number' in body) uses.set(Number(body.number), (uses.get(Number(body.number)) ?? 0) + 1);
    return undefined;
  });
  return uses;
}

/** Whether some parameter stands in more than one place: then one place decides its type in the others, too. */
export function sharesParameters(tree: unknown): boolean {
  return [...parameterUses(tree).values()].some((uses) => uses > 1);
}

/**
 * Every parameter cast to the type that the server gave it in the whole statement. A part of the statement that is run by
 * itself would else let the server choose another: in `SELECT $1::int, $1 || 'a'` the second `$1` is an integer, alone it is text.
 */
export function withTypedParameters<T>(tree: T, types: readonly string[]): T {
  return replaceNodes(tree, (node) => {
    const number = 'ParamRef' in node ? (node.ParamRef.number ?? 0) : 0;
    const type = types[number - 1];
    return type === undefined ? undefined : castToType({ ParamRef: { number } }, type);
  });
}

/** `arg` cast to a type given in SQL. */
export function castToType(arg: Node, typeSql: string): Node {
  const { node } = parseOne(`SELECT NULL::${typeSql}`);
  const target = 'SelectStmt' in node ? node.SelectStmt.targetList?.[0] : undefined;
  const cast = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  const typeName = cast !== undefined && 'TypeCast' in cast ? cast.TypeCast.typeName : undefined;
  return { TypeCast: { arg, typeName: present(typeName, 'type name') } };
}

/** Whether a parameter of type `type` means the same as a constant of a column's type. For arrays, the elements. */
export function readsAlike(type: string | undefined, columnType: string): boolean {
  return comparableTypes(type?.replace(/\[\]$/, ''), columnType);
}

/** The sets that still tell something when parameters have these types: a value of another type may equal the column without being written alike. */
export function knownSets(sets: readonly ConstantSet[], types: readonly string[], columnType: string): ConstantSet[] {
  const reads = (number: number): boolean => readsAlike(types[number - 1], columnType);
  return sets.filter(({ values, arrays }) => arrays.every(reads) && values.every((value) => value.kind !== 'parameter' || reads(value.number)));
}

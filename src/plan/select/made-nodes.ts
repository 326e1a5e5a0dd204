import type { Node, ResTarget } from '@pgsql/types';

/** Parse trees that plans are made of, in exactly the form the parser gives, so that they compare equal after a round trip. */
export function columnNode(...names: readonly string[]): Node {
  return { ColumnRef: { fields: names.map((sval) => ({ String: { sval } })) } };
}

export function integerNode(value: number): Node {
  return { A_Const: { ival: value === 0 ? {} : { ival: value } } };
}

export function callNode(name: string, args: readonly Node[], more: object = {}): Node {
  return { FuncCall: { funcname: [{ String: { sval: name } }], args: [...args], funcformat: 'COERCE_EXPLICIT_CALL', ...more } };
}

export function operatorNode(name: string, left: Node, right: Node): Node {
  return { A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: name } }], lexpr: left, rexpr: right } };
}

/** A cast to one of PostgreSQL's own types, named as in pg_type: `int8`, `numeric`. */
export function castNode(arg: Node, type: string): Node {
  return {
    TypeCast: {
      arg,
      typeName: { names: [{ String: { sval: 'pg_catalog' } }, { String: { sval: type } }], typemod: -1 },
    },
  };
}

export function targetNode(val: Node, name?: string): Node {
  const target: ResTarget = name === undefined ? { val } : { name, val };
  return { ResTarget: target };
}

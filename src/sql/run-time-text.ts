import type { A_Expr, FuncCall, Node } from '@pgsql/types';
import { builtinName, nameParts } from './ast.ts';
import { quoteIdentifier, quoteLiteral } from './identifiers.ts';
import { parseStatements, type Statement } from './parse.ts';

/** The statements that code makes at run time (EXECUTE), as far as they can be told beforehand. */
export interface RunTimeText {
  readonly statements: readonly Statement[];
  /** Nothing of them is left open; else `stand_in` stands for names, NULL for values. */
  readonly isWhole: boolean;
}

/** Of the expression of an EXECUTE: of constants, put together by `||` and `format()`. Undefined where that gives no SQL. */
export function runTimeText(expression: string): RunTimeText | undefined {
  const parts: Parts = { isWhole: true };
  try {
    const text = textOf(valueOf(expression), parts);
    return text === undefined ? undefined : { statements: parseStatements(text), isWhole: parts.isWhole };
  } catch {
    return undefined;
  }
}

interface Parts {
  isWhole: boolean;
}

/** What stands for a name, or for any other text, that only the run will tell. */
const standIn = 'stand_in';

function valueOf(expression: string): Node | undefined {
  const node = parseStatements(`SELECT ${expression}`)[0]?.node;
  const [target] = node !== undefined && 'SelectStmt' in node ? (node.SelectStmt.targetList ?? []) : [];
  return target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
}

/** Undefined where nothing is known of it. */
function textOf(node: Node | undefined, parts: Parts): string | undefined {
  if (node === undefined) return undefined;
  if ('A_Const' in node) return node.A_Const.sval?.sval ?? node.A_Const.ival?.ival?.toString();
  if ('TypeCast' in node) return textOf(node.TypeCast.arg, parts);
  if ('A_Expr' in node) return concatenated(node.A_Expr, parts);
  return 'FuncCall' in node ? called(node.FuncCall, parts) : undefined;
}

function concatenated({ name, lexpr, rexpr }: A_Expr, parts: Parts): string | undefined {
  if (nameParts(name).at(-1) !== '||') return undefined;
  const sides = [textOf(lexpr, parts), textOf(rexpr, parts)];
  return sides.every((side) => side === undefined) ? undefined : sides.map((side) => side ?? open(parts)).join('');
}

function open(parts: Parts): string {
  parts.isWhole = false;
  return standIn;
}

function called({ funcname, args = [] }: FuncCall, parts: Parts): string | undefined {
  const [first, ...others] = args;
  switch (builtinName(funcname)) {
    case 'format':
      return formatted(textOf(first, parts), others, parts);
    case 'quote_ident':
      return quoteIdentifier(textOf(first, parts) ?? open(parts));
    case 'quote_literal':
    case 'quote_nullable':
      return literal(first, parts);
    case 'concat':
      return args.map((arg) => textOf(arg, parts) ?? open(parts)).join('');
    default:
      return undefined;
  }
}

function literal(node: Node | undefined, parts: Parts): string {
  const text = textOf(node, parts);
  if (text === undefined) parts.isWhole = false;
  return text === undefined ? 'NULL' : quoteLiteral(text);
}

/** As `format()` of PostgreSQL does, but for widths, which SQL does not need. */
function formatted(template: string | undefined, args: readonly Node[], parts: Parts): string | undefined {
  let next = 0;
  return template?.replaceAll(/%(?:(\d+)\$)?(?:-?(?:\d+|\*))?([%sIL])/g, (_, place: string | undefined, type: string) => {
    if (type === '%') return '%';
    next = place === undefined ? next + 1 : Number(place);
    const arg = args[next - 1];
    if (type === 'L') return literal(arg, parts);
    const text = textOf(arg, parts) ?? open(parts);
    return type === 'I' ? quoteIdentifier(text) : text;
  });
}

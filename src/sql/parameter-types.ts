import type { Node, ResTarget } from '@pgsql/types';
import { at } from '../base/assert.ts';
import { walk } from './ast.ts';
import type { Statement } from './parse.ts';
import { scanTokens } from './scan.ts';

/** Without values a server infers types by where parameters stand; those that PREPARE declares may be others. A cast would name its column. */
export function withParameterTypes({ text, source, node }: Statement, types: readonly (string | undefined)[]): string {
  const tokens = scanTokens(text);
  const unnamed = unnamedColumns(node).map((location) => source.index(location));
  let result = '';
  let copied = 0;
  for (const [i, token] of tokens.entries()) {
    const type = /^\$\d+$/.test(token.text) ? types[Number(token.text.slice(1)) - 1] : undefined;
    if (type === undefined) continue;
    result += `${text.slice(copied, token.start)}(${token.text}::${type})`;
    copied = token.end;
    if (!unnamed.includes(token.start)) continue;
    let around = 1;
    while (tokens[i - around]?.text === '(' && tokens[i + around]?.text === ')') around += 1;
    const { end } = at(tokens, i + around - 1);
    result += `${text.slice(copied, end)} AS "?column?"`;
    copied = end;
  }
  return result + text.slice(copied);
}

/** Where parameters stand as columns of a select list that has no name for them. */
function unnamedColumns(tree: Node): number[] {
  const found: number[] = [];
  walk(tree, (kind, body) => {
    const target = kind === 'ResTarget' ? (body as ResTarget) : undefined;
    if (target?.name === undefined && target?.val !== undefined && 'ParamRef' in target.val) found.push(target.val.ParamRef.location ?? 0);
    return undefined;
  });
  return found;
}

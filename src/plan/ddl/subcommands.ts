import type { AlterTableCmd, AlterTableStmt } from '@pgsql/types';
import { assert, at } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, tokenAt, type Token } from '../../sql/scan.ts';

/** One of the commands of an ALTER TABLE. */
export interface Subcommand {
  readonly command: AlterTableCmd;
  readonly tokens: readonly Token[];
}

/** They are parted by commas, of which no other stands outside of brackets. */
export function subcommands(statement: Statement, { relation, cmds = [] }: AlterTableStmt): Subcommand[] {
  const tokens = scanTokens(statement.text);
  const first = tokenAt(tokens, statement.source.index(relation?.location ?? 0));
  const parts: Token[][] = [[]];
  for (let i = first + nameLength(tokens, first); i < tokens.length && at(tokens, i).text !== ';';) {
    const { text } = at(tokens, i);
    const next = text === '(' || text === '[' ? afterGroup(tokens, i) : i + 1;
    if (text === ',') parts.push([]);
    else parts.at(-1)?.push(...tokens.slice(i, next));
    i = next;
  }
  assert(parts.length === cmds.length, `${cmds.length} commands of ALTER TABLE stand in ${parts.length} parts`);
  return cmds.flatMap((node, i) => ('AlterTableCmd' in node ? [{ command: node.AlterTableCmd, tokens: at(parts, i) }] : []));
}

function nameLength(tokens: readonly Token[], first: number): number {
  let length = 1;
  while (tokens[first + length]?.text === '.') length += 2;
  return tokens[first + length]?.text === '*' ? length + 1 : length;
}

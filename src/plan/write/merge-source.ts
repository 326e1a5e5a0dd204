import type { MergeStmt, SelectStmt } from '@pgsql/types';
import { at, present } from '../../base/assert.ts';
import { sameTree } from '../../sql/ast.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import type { Extent } from '../../sql/query-extent.ts';
import { afterGroup, scanTokens, tokenAt } from '../../sql/scan.ts';
import { refused } from '../insert/refused.ts';

/** What stands between USING and ON, and a query of all its rows. */
export interface MergeSource {
  readonly extent: Extent;
  readonly text: string;
  readonly select: SelectStmt;
}

export function mergeSource(statement: Statement, { relation, sourceRelation }: MergeStmt): MergeSource {
  const tokens = scanTokens(statement.text);
  let start = tokenAt(tokens, statement.source.index(relation?.location ?? 0));
  while (at(tokens, start).text.toUpperCase() !== 'USING') start += 1;
  start += 1;
  for (let end = start; end < tokens.length; end = at(tokens, end).text === '(' ? afterGroup(tokens, end) : end + 1) {
    if (at(tokens, end).text.toUpperCase() !== 'ON') continue;
    const extent = { start: at(tokens, start).start, end: at(tokens, end - 1).end };
    const text = `SELECT * FROM ${statement.text.slice(extent.start, extent.end)}`;
    const select = selectFrom(text);
    if (select !== undefined && sameTree(select.fromClause, [sourceRelation])) return { extent, text, select };
  }
  throw refused('The source of the MERGE cannot be told from what stands around it.', 'Write it as a subquery with an alias.');
}

function selectFrom(text: string): SelectStmt | undefined {
  try {
    const { node } = parseOne(text);
    return present('SelectStmt' in node ? node.SelectStmt : undefined);
  } catch {
    return undefined;
  }
}

export function mergeOf({ node }: Pick<Statement, 'node'>): MergeStmt {
  return present('MergeStmt' in node ? node.MergeStmt : undefined, 'MERGE');
}

/** What the statement calls its source. */
export function sourceName({ sourceRelation }: MergeStmt): string | undefined {
  const [body]: { readonly relname?: string; readonly alias?: { readonly aliasname?: string } }[] = Object.values(sourceRelation ?? {});
  return body?.alias?.aliasname ?? body?.relname;
}

import type { ColumnRef, RangeVar } from '@pgsql/types';
import { walk } from '../../sql/ast.ts';
import type { Node } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import type { Token } from '../../sql/scan.ts';

/**
 * The text after COPY FROM's WHERE. A shard has another name and COPY knows no alias, so `orders.id` becomes `id`.
 */
export function copyCondition(statement: Statement, relation: RangeVar | undefined, condition: Node): string {
  const tokens = scanTokens(statement.text);
  const keyword = tokens.find((token) => token.text.toLowerCase() === 'where');
  const last = tokens.findLast((token) => token.text !== ';');
  const cuts = qualifierCuts(statement, tokens, { relation, condition });
  let text = '';
  let from = keyword?.end ?? 0;
  for (const cut of cuts) {
    text += statement.text.slice(from, cut.start);
    from = cut.end;
  }
  return (text + statement.text.slice(from, last?.end)).trim();
}

interface Cut {
  readonly start: number;
  readonly end: number;
}

function qualifierCuts(
  statement: Statement,
  tokens: readonly Token[],
  { relation, condition }: { readonly relation: RangeVar | undefined; readonly condition: Node },
): Cut[] {
  const cuts: Cut[] = [];
  walk([condition], (kind, body) => {
    if (kind !== 'ColumnRef') return true;
    const reference: ColumnRef = body;
    const qualifiers = (reference.fields?.length ?? 1) - 1;
    if (qualifiers === 0 || !namesRelation(reference, relation)) return true;
    const start = statement.source.index(reference.location ?? 0);
    // Each qualifier is a name and a dot.
    const column = tokens[tokenAt(tokens, start) + 2 * qualifiers];
    if (column !== undefined) cuts.push({ start, end: column.start });
    return true;
  });
  return cuts.sort((a, b) => a.start - b.start);
}

function namesRelation(reference: ColumnRef, relation: RangeVar | undefined): boolean {
  const qualifier = reference.fields?.at(-2);
  return qualifier !== undefined && 'String' in qualifier && qualifier.String.sval === relation?.relname;
}

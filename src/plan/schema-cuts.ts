import type { Node } from '@pgsql/types';
import { at } from '../base/assert.ts';
import { nameParts, walk } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';
import type { Token } from '../sql/scan.ts';
import { tokenAt } from '../sql/scan.ts';

/** The `schema.` of every `schema.table.column` whose table `isCut` names. String indices. */
export function schemaCuts(
  { node, source }: Statement,
  tokens: readonly Token[],
  isCut: (schema: string, table: string) => boolean,
): { readonly start: number; readonly end: number }[] {
  const cuts: { start: number; end: number }[] = [];
  walk(node, (kind, body) => {
    if (kind !== 'ColumnRef' || !('fields' in body)) return undefined;
    const parts = nameParts(body.fields as Node[]);
    const [schema, table] = parts.slice(-3);
    if (parts.length < 3 || schema === undefined || table === undefined || !isCut(schema, table)) return undefined;
    const first = tokenAt(tokens, source.index('location' in body ? Number(body.location) : 0));
    cuts.push({ start: at(tokens, first).start, end: at(tokens, first + 2 * (parts.length - 2)).start });
    return undefined;
  });
  return cuts;
}

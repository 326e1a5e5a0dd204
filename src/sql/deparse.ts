import { createRequire } from 'node:module';
import type { Node } from '@pgsql/types';
import { sameTree } from './ast.ts';
import type { Statement } from './parse.ts';
import { parseOneIfValid } from './parse.ts';

/**
 * The text of a statement that we made up, parsed again; undefined when the deparser would not say the same, which
 * it silently does for rarer clauses. So a plan that needs such a statement is refused, never wrong.
 */
export function deparseChecked(node: Node): Statement | undefined {
  const text = deparsed(node);
  if (text === undefined) return undefined;
  const statement = parseOneIfValid(text);
  return statement !== undefined && sameTree(statement.node, node) ? statement : undefined;
}

/** Loaded when first needed: it takes 20 MB, which programs whose statements are only spliced never use. */
const load = createRequire(import.meta.url);

function deparsed(node: Node): string | undefined {
  const { deparseSync } = load('pgsql-deparser') as { readonly deparseSync: (node: Node) => string };
  try {
    return deparseSync(node);
  } catch {
    return undefined;
  }
}

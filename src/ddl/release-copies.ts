import { changeCatalog } from './change-catalog.ts';
import type { DdlContext } from './ddl-context.ts';
import { releaseCopies } from './shell-copies.ts';

/** Where a local table has gone another way than by a change of definitions: takes the copies away to which none refers any more, in a transaction of its own. */
export function releaseCopiesAlone(context: DdlContext): Promise<void> {
  return changeCatalog(context, { keepsVersion: true, lockFirst: () => Promise.resolve(), body: releaseCopies });
}

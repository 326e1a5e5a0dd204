import { namedRelations } from '../analyze/analyze-statement.ts';
import { collectCalls, isBuiltinAggregate } from '../analyze/function-calls.ts';
import { RelationNames } from '../analyze/relation-names.ts';
import { LruMap } from '../base/lru.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { StatementShape } from '../cluster/node-connection.ts';
import type { Statement } from '../sql/parse.ts';

interface KnownShape {
  readonly snapshot: CatalogSnapshot;
  readonly shape: StatementShape;
}

const capacity = 2_000;
const lengthMax = 10_000;

/** Shapes of statements about tables of the cluster alone: nothing but a change of the catalog gives them another. Under the default search path. */
export class KnownShapes {
  readonly #shapes = new LruMap<string, KnownShape>(capacity, { max: 1_000_000, of: (key) => key.length });

  of(text: string, types: readonly number[], snapshot: CatalogSnapshot): StatementShape | undefined {
    const known = this.#shapes.get(keyOf(text, types));
    return known?.snapshot === snapshot ? known.shape : undefined;
  }

  keep(statement: Statement, types: readonly number[], known: KnownShape): void {
    const key = keyOf(statement.text, types);
    if (statement.text.length > lengthMax || this.#shapes.get(key)?.snapshot === known.snapshot || !isAboutTables(statement, known.snapshot)) return;
    this.#shapes.set(key, known);
  }
}

function keyOf(text: string, types: readonly number[]): string {
  return types.length === 0 ? text : `${types.join(',')} ${text}`;
}

/** Functions of users, and other relations than the catalog's, may become others without a change of the catalog. */
function isAboutTables({ node }: Statement, snapshot: CatalogSnapshot): boolean {
  const relations = namedRelations(node);
  const names = new RelationNames(snapshot, snapshot.server.searchPath);
  if (relations.length === 0 || !relations.every(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '') !== undefined)) return false;
  let isOurs = true;
  collectCalls(node, (call) => {
    isOurs &&= isBuiltinAggregate(call);
    return isOurs;
  }, true);
  return isOurs;
}

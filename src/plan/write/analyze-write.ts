import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import { analyzeAny } from '../../analyze/analyze-statement.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { Statement } from '../../sql/parse.ts';
import { checkOverlooked, checkViews } from '../check-select.ts';
import { checkNoView } from './check-no-view.ts';
import { targetOfWrite } from './target-of-write.ts';

export interface AnalyzedWrite {
  readonly analyzed: AnalyzedStatement;
  /** Undefined for a local table. */
  readonly target: CatalogTable | undefined;
  /** Neither distributed or reference tables nor intermediate results are in it. */
  readonly isLocal: boolean;
}

/** UPDATE, DELETE or MERGE with its tables found. Refuses views where none can stand. */
export function analyzeWrite(statement: Statement, names: RelationNames): AnalyzedWrite {
  const relation = targetOfWrite(statement);
  checkNoView(relation, names);
  const analyzed = analyzeAny(statement.node, names);
  checkViews(analyzed, names);
  checkOverlooked(analyzed, names);
  return { analyzed, target: names.resolve(relation.schemaname, relation.relname ?? ''), isLocal: analyzed.uses.length === 0 && analyzed.results.length === 0 };
}

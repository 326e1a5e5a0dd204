import type { DeleteStmt, RangeVar } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import type { TableUse } from '../../analyze/relation.ts';
import { present } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';

/** The relation that INSERT, UPDATE, DELETE or MERGE writes. */
export function targetOfWrite({ node }: Statement): RangeVar {
  const write: Pick<DeleteStmt, 'relation'> | undefined = 'InsertStmt' in node ? node.InsertStmt : 'UpdateStmt' in node ? node.UpdateStmt : 'DeleteStmt' in node ? node.DeleteStmt : 'MergeStmt' in node ? node.MergeStmt : undefined;
  return present(write?.relation, 'target');
}

/** The target among the relations of an analyzed write; undefined when it is a local table. */
export function targetUse(statement: Statement, { uses }: Pick<AnalyzedStatement, 'uses'>): TableUse | undefined {
  const relation = targetOfWrite(statement);
  return uses.find(({ rangeVar }) => rangeVar === relation);
}

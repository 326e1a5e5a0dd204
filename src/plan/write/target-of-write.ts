import type { DeleteStmt, RangeVar } from '@pgsql/types';
import { present } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';

/** The relation that INSERT, UPDATE, DELETE or MERGE writes. */
export function targetOfWrite({ node }: Statement): RangeVar {
  const write: Pick<DeleteStmt, 'relation'> | undefined = 'InsertStmt' in node ? node.InsertStmt : 'UpdateStmt' in node ? node.UpdateStmt : 'DeleteStmt' in node ? node.DeleteStmt : 'MergeStmt' in node ? node.MergeStmt : undefined;
  return present(write?.relation, 'target');
}

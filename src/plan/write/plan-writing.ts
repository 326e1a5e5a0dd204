import type { Node } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import { analyzeInsert, analyzeModify, analyzeSelect } from '../../analyze/analyze-statement.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { present } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';
import { checkOverlooked, checkReadable, checkViews, obstacleOf } from '../check-select.ts';
import { refused } from '../insert/refused.ts';
import { supplySequences } from '../insert/supply-sequences.ts';
import { planRouterWrite } from './plan-router-write.ts';
import type { Named } from '../plan-select.ts';
import { certainUses, prunableUses } from '../prunable-uses.ts';
import { refuseSequences } from '../sequence-use.ts';
import type { ModifyPlan } from '../statement-plan.ts';

/** A statement whose WITH writes, or INSERT … SELECT. */
export async function planWriting(original: Statement, node: Node, input: Named): Promise<ModifyPlan> {
  const { names, snapshot, describe } = input;
  if ('SelectStmt' in node && node.SelectStmt.intoClause !== undefined) throw refused('SELECT INTO with a WITH that writes.', 'Create the table first.');
  const { statement, sequences } = supplySequences(original, names);
  const analyzed = analyzeAny(statement.node, names);
  checkViews(analyzed, names);
  checkOverlooked(analyzed, names);
  checkReadable(statement.node);
  refuseSequences(statement.node);
  const uses = await certainUses(prunableUses(analyzed, snapshot), original, describe);
  if (analyzed.foreign.length > 0) throw refused('Local tables stand beside distributed or reference tables in a statement that writes.', 'Read the one first, then write.');
  if (uses === undefined) throw obstacleOf(analyzed);
  return planRouterWrite({ statement, sequences, command: commandOf(node), analyzed, uses, names, check: () => describe.statement(original.text) });
}

function analyzeAny(node: Node, names: RelationNames): AnalyzedStatement {
  if ('InsertStmt' in node) return analyzeInsert(node.InsertStmt, names);
  if ('UpdateStmt' in node) return analyzeModify('update', node.UpdateStmt, names);
  if ('DeleteStmt' in node) return analyzeModify('delete', node.DeleteStmt, names);
  return analyzeSelect(present('SelectStmt' in node ? node.SelectStmt : undefined), names);
}

function commandOf(node: Node): ModifyPlan['command'] {
  return 'InsertStmt' in node ? 'INSERT' : 'UpdateStmt' in node ? 'UPDATE' : 'DeleteStmt' in node ? 'DELETE' : 'SELECT';
}

import type { Node } from '@pgsql/types';
import { analyzeAny } from '../../analyze/analyze-statement.ts';
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

function commandOf(node: Node): ModifyPlan['command'] {
  return 'InsertStmt' in node ? 'INSERT' : 'UpdateStmt' in node ? 'UPDATE' : 'DeleteStmt' in node ? 'DELETE' : 'SELECT';
}

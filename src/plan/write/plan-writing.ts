import type { Node } from '@pgsql/types';
import { type AnalyzedStatement, analyzeAny } from '../../analyze/analyze-statement.ts';
import { ClusterError } from '../../base/errors.ts';
import { once } from '../../base/once.ts';
import { holds } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import { checkOverlooked, checkReadable, checkViews, obstacleOf } from '../check-select.ts';
import { refused } from '../insert/refused.ts';
import { supplySequences } from '../insert/supply-sequences.ts';
import type { Named } from '../plan-select.ts';
import { certainUses, prunableUses } from '../prunable-uses.ts';
import { refuseSequences } from '../sequence-use.ts';
import { shardTemplate } from '../shard-template.ts';
import type { ModifyPlan } from '../statement-plan.ts';
import { planParts } from './plan-parts.ts';
import { planRouterWrite, type RoutedPlan } from './plan-router-write.ts';

/** A statement whose WITH writes: to one node as it is where all is about one tenant, which its parameters may decide; else in parts. */
export async function planWriting(statement: Statement, node: Node, input: Named): Promise<ModifyPlan> {
  if ('SelectStmt' in node && node.SelectStmt.intoClause !== undefined) throw refused('SELECT INTO with a WITH that writes.', 'Create the table first.');
  const spread = once(() => planParts(statement, input));
  const routed = await planRoutedOrUndefined(statement, node, input);
  if (routed !== undefined) return { ...routed, spread };
  return { kind: 'modify', command: commandOf(node), whole: shardTemplate(statement, []), tables: [], uses: [], routable: false, everywhere: undefined, sequences: [], spread };
}

/** A statement that writes, as it is on one node; undefined where that is never possible. */
export async function planRoutedOrUndefined(statement: Statement, node: Node, input: Named): Promise<RoutedPlan | undefined> {
  if (holdsMerge(node)) return undefined;
  try {
    return await planRouted(statement, node, input);
  } catch (error) {
    if (error instanceof ClusterError && error.code === '0A000') return undefined;
    throw error;
  }
}

/** What its INSERT leaves to defaults is supplied only where it is a statement of its own. */
function holdsMerge(node: Node): boolean {
  return holds(node, 'MergeStmt');
}

async function planRouted(original: Statement, node: Node, { names, snapshot, describe }: Named): Promise<RoutedPlan> {
  const { statement, sequences } = supplySequences(original, names);
  const analyzed = analyzeAny(statement.node, names);
  checkViews(analyzed, names);
  checkOverlooked(analyzed, names);
  checkReadable(statement.node);
  refuseSequences(statement.node);
  const uses = await certainUses(prunableUses(analyzed, snapshot), original, describe);
  if (uses === undefined || !isAlone(analyzed)) throw obstacleOf(analyzed);
  return planRouterWrite({ statement, sequences, command: commandOf(node), analyzed, uses, names });
}

/** Neither local tables nor intermediate results are on the node. */
function isAlone({ foreign, results }: AnalyzedStatement): boolean {
  return foreign.length === 0 && results.length === 0;
}

function commandOf(node: Node): ModifyPlan['command'] {
  return 'InsertStmt' in node ? 'INSERT' : 'UpdateStmt' in node ? 'UPDATE' : 'DeleteStmt' in node ? 'DELETE' : 'MergeStmt' in node ? 'MERGE' : 'SELECT';
}

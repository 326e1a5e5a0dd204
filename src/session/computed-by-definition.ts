import type { Node } from '@pgsql/types';
import { collectCalls } from '../analyze/function-calls.ts';
import { nameParts } from '../sql/ast.ts';
import { quoteName } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { NamedEffects } from './sequence-effects.ts';

/** What a change of a table's definition may compute at once, of the rows that are there: a default, a conversion, a condition, an index. Undefined for other statements, and for those that stand in no transaction. */
export function computedByDefinition({ node }: Pick<Statement, 'node'>): NamedEffects | undefined {
  const relation = 'AlterTableStmt' in node && (node.AlterTableStmt.cmds ?? []).some(computes) ? node.AlterTableStmt.relation : 'IndexStmt' in node && node.IndexStmt.concurrent !== true ? node.IndexStmt.relation : undefined;
  if (relation === undefined) return undefined;
  const functions = new Set<string>();
  collectCalls(node, ({ funcname }) => functions.add(nameParts(funcname).at(-1) ?? '').size > 0, true);
  return { kind: 'named', sequences: [], functions: [...functions], relations: [quoteName(relation.schemaname, relation.relname ?? '')], common: new Set(), writes: true, fills: [] };
}

function computes(command: Node): boolean {
  return 'AlterTableCmd' in command && computing.test(command.AlterTableCmd.subtype ?? '');
}

/** What rewrites or reads all rows, and with them the table's own checks and indexes. */
const computing = /^AT_(AddColumn|AlterColumnType|SetExpression|AddConstraint|ValidateConstraint|AttachPartition|SetLogged|SetUnLogged|SetAccessMethod)$/;

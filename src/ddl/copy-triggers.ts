import { at, present } from '../base/assert.ts';
import { afterGroup, scanTokens } from '../sql/scan.ts';
import type { TableDefinition, TriggerDefinition } from './table-definition.ts';

/** Tells whether the first copy is written. See `runsTriggerSql` in store/node-schema.ts. */
const guard = 'shardwright.runs_trigger';

/** A trigger as the table's shards have it: on copies of a reference table it runs where the first copy is written, and not where others take over what was stored there. */
export function triggerOfShards({ distribution }: Pick<TableDefinition, 'distribution'>, trigger: TriggerDefinition): TriggerDefinition {
  return distribution?.kind === 'reference' ? { ...trigger, sql: guarded(trigger.sql) } : trigger;
}

/** `sql` as pg_get_triggerdef() writes it, and so the result: a condition, or `true`, is what the guard is called with. */
function guarded(sql: string): string {
  const tokens = scanTokens(sql);
  const word = (i: number): string => tokens[i]?.text.toUpperCase() ?? '';
  let i = 0;
  let condition: { readonly start: number; readonly end: number } | undefined;
  for (; !(word(i) === 'EXECUTE' && /^(FUNCTION|PROCEDURE)$/.test(word(i + 1))); i = word(i) === '(' ? afterGroup(tokens, i) : i + 1) {
    if (word(i) === 'WHEN' && word(i + 1) === '(') condition = { start: at(tokens, i + 1).end, end: at(tokens, afterGroup(tokens, i + 1) - 1).start };
  }
  const execute = present(tokens[i], 'EXECUTE of a trigger').start;
  if (condition === undefined) return `${sql.slice(0, execute)}WHEN (${guard}(true)) ${sql.slice(execute)}`;
  return `${sql.slice(0, condition.start)}${guard}(${sql.slice(condition.start, condition.end)})${sql.slice(condition.end)}`;
}

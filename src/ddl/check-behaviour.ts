import { type Objection, unsupportedTable } from './check-table.ts';
import type { PolicyDefinition, TableDefinition, TriggerDefinition } from './table-definition.ts';

/** How the rows of a table are placed. */
export type PlacementKind = 'reference' | 'postgres' | 'murmur3';

/** `unsupportedTable` for triggers and policies that would not do on shards what they do on one PostgreSQL. */
export function checkBehaviour(table: TableDefinition, placement: PlacementKind): void {
  const objection = first(table.triggers ?? [], (trigger) => objectionToTrigger(trigger, placement)) ?? first(table.policies ?? [], objectionToPolicy);
  if (objection !== undefined) throw unsupportedTable(table, objection);
}

function first<T>(items: readonly T[], objectionTo: (item: T) => Objection | undefined): Objection | undefined {
  for (const item of items) {
    const objection = objectionTo(item);
    if (objection !== undefined) return objection;
  }
  return undefined;
}

function objectionToTrigger({ name, perRow, mentions }: TriggerDefinition, placement: PlacementKind): Objection | undefined {
  const message = (why: string): string => `trigger "${name}" ${why}`;
  if (placement === 'reference') {
    return { message: message('would run for each copy of a row'), detail: 'Copies could become different.', hint: 'Triggers are for distributed tables: let the application do it.' };
  }
  if (!perRow) return { message: message('is for each statement'), detail: 'A statement for many rows is one for each shard.', hint: 'Make it FOR EACH ROW.' };
  if (mentions !== null) {
    return {
      message: message(`calls a function that names table "${mentions[0] ?? ''}"`), detail: 'It runs where the row is. There are shards, which have other names.',
      hint: 'Let the function use NEW and OLD only.',
    };
  }
  if (placement === 'murmur3') return { message: message('could move rows to where they do not belong'), detail: 'Nodes cannot tell the place of rows that are hashed by murmur3.', hint: 'Distribute by the default hash.' };
  return undefined;
}

function objectionToPolicy({ name, reads }: PolicyDefinition): Objection | undefined {
  const other = reads?.find(({ distribution }) => distribution?.kind !== 'reference');
  if (other === undefined) return undefined;
  return { message: `policy "${name}" reads table "${other.name}"`, detail: 'It is asked on nodes, which have all rows of reference tables only.', hint: `Make "${other.name}" a reference table.` };
}

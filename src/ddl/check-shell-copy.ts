import { ClusterError } from '../base/errors.ts';
import type { TableDefinition } from './table-definition.ts';

/** `unsupportedDdl` for a reference table whose shell could come to differ from its other copies, were it one. `others`: tables whose shells are made copies with it. */
export function checkShellCopy(table: TableDefinition, others: readonly TableDefinition[]): void {
  const isThere = (oid: number): boolean => others.some((other) => other.oid === oid);
  for (const { name, reads } of table.policies ?? []) {
    const read = reads?.find(({ oid, distribution }) => distribution?.shellIsCopy !== true && !isThere(oid));
    if (read === undefined) continue;
    throw new ClusterError('unsupportedDdl', `local tables cannot refer to reference table "${table.name}" while its policy "${name}" reads "${read.name}"`, {
      detail: `A copy of "${table.name}" is kept in the coordinator database for them, where the policy would find no rows of "${read.name}".`,
      hint: `Drop the policy, or let a local table refer to "${read.name}" first.`, schema: table.schema, table: table.name,
    });
  }
}

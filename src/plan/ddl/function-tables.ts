import type { RelationNames } from '../../analyze/relation-names.ts';
import { ClusterError } from '../../base/errors.ts';
import { readCode } from '../../sql/code-statements.ts';
import type { Statement } from '../../sql/parse.ts';
import { planDefinition } from './plan-definition.ts';
import { distributedNamed } from './reads-distributed.ts';

/** `unsupportedDdl` for a function whose code, and what it makes at run time, names a distributed or reference table, as far as it can be read: wherever it is called, there is no such table with rows. */
export function refuseReaderOfShells(statement: Statement, names: RelationNames): void {
  if (names.snapshot.tables.size === 0) return;
  const code = readCode(statement);
  const inside = [...(code?.statements ?? []), ...(code?.made ?? []).flatMap((made) => made?.statements ?? [])];
  const table = distributedNamed(statement.node, names) ?? inside.map((one) => distributedNamed(one.node, names) ?? changedBy(one, names)).find((name) => name !== undefined);
  if (table !== undefined) throw readsShells('the function', table);
}

/** The table that it changes by the name of a part, or drops. */
function changedBy(statement: Statement, names: RelationNames): string | undefined {
  const plan = planDefinition(statement, names);
  const inSchema = [...names.snapshot.tables.values()].find(({ schema }) => plan?.droppedSchemas.includes(schema) === true);
  return (plan?.tables[0] ?? inSchema)?.name;
}

export function readsShells(what: string, table: string): ClusterError {
  return new ClusterError('unsupportedDdl', `${what} names "${table}", which is distributed, a reference table, or a view over one`, {
    detail: 'Its code runs inside a server, where the table is an empty shell, or shards of other names.',
    hint: 'Send the statements through the cluster, or pass the rows to the function.',
  });
}

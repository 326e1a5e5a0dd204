import type { Node } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { Statement } from '../../sql/parse.ts';
import { scanTokens } from '../../sql/scan.ts';

/** DETACH PARTITION … CONCURRENTLY as the plain form, whose locks are held until all servers have done it; undefined for any other statement. */
export function concurrentDetach({ node, text }: Statement): string | undefined {
  const commands = 'AlterTableStmt' in node ? (node.AlterTableStmt.cmds ?? []) : [];
  const isConcurrent = commands.some((command) => {
    const definition = 'AlterTableCmd' in command && command.AlterTableCmd.subtype === 'AT_DetachPartition' ? command.AlterTableCmd.def : undefined;
    return definition !== undefined && 'PartitionCmd' in definition && definition.PartitionCmd.concurrent === true;
  });
  if (!isConcurrent) return undefined;
  const tokens = scanTokens(text);
  const { start, end } = at(tokens, tokens.findLastIndex((token) => token.text.toUpperCase() === 'CONCURRENTLY'));
  return text.slice(0, start) + text.slice(end);
}

/** `unsupportedDdl`: ATTACH PARTITION of a table that is distributed by itself. */
export function refuseDistributedPartition(commands: readonly Node[], names: RelationNames): void {
  for (const command of commands) {
    const definition = 'AlterTableCmd' in command && command.AlterTableCmd.subtype === 'AT_AttachPartition' ? command.AlterTableCmd.def : undefined;
    const partition = definition !== undefined && 'PartitionCmd' in definition ? definition.PartitionCmd.name : undefined;
    const table = partition === undefined ? undefined : names.resolve(partition.schemaname, partition.relname ?? '');
    if (table === undefined) continue;
    throw new ClusterError('unsupportedDdl', `table "${table.name}" is distributed by itself, and cannot become a partition`, {
      detail: 'Its shards would have to be put into those of the other table.', hint: 'Call undistribute_table() first: then it is distributed as a partition.', schema: table.schema, table: table.name,
    });
  }
}

import type { Node } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { at } from '../../base/assert.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
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

/** The distributed or reference table that ATTACH PARTITION names; a local one is distributed afterwards. */
export function attachedPartition(node: Node, names: RelationNames): CatalogTable | undefined {
  const commands = 'AlterTableStmt' in node && node.AlterTableStmt.objtype !== 'OBJECT_INDEX' ? (node.AlterTableStmt.cmds ?? []) : [];
  const tables = commands.flatMap((command) => {
    const definition = 'AlterTableCmd' in command && command.AlterTableCmd.subtype === 'AT_AttachPartition' ? command.AlterTableCmd.def : undefined;
    const partition = definition !== undefined && 'PartitionCmd' in definition ? definition.PartitionCmd.name : undefined;
    return partition === undefined ? [] : [names.resolve(partition.schemaname, partition.relname ?? '')];
  });
  return tables[0];
}

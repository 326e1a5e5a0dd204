import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { copyWrite } from '../../catalog/reference-copies.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { binaryHeader, binaryTrailer } from './binary-scanner.ts';
import type { CopyStatement } from './copy-statement.ts';
import { copyEncoder } from './encode-copy.ts';
import { renderWholeCopyIn } from './render-copy.ts';

/**
 * Runs a COPY FROM as the caller wrote it, without rows, on the table's shell in the coordinator database: so that wrong options,
 * columns, rights or a read-only transaction are PostgreSQL's own error, and come before any data is read.
 * `columns`: what the data holds.
 */
export async function checkCopyIn(
  copy: CopyStatement,
  { table, columns, connection }: { table: CatalogTable; columns: readonly string[]; connection: NodeConnection },
  options: CallOptions,
): Promise<void> {
  const listed = copy.subject.kind === 'table' ? (copy.subject.columns ?? []) : [];
  // Whether a table may be frozen is for each shard to say: a shell is never truncated.
  const checked = { ...copy, elements: copy.elements.filter(({ defname }) => defname !== 'freeze') };
  const text = renderWholeCopyIn(checked, quoteQualified(table.schema, table.name), listed);
  const sink = await connection.copyIn(table.kind === 'reference' && table.shellIsCopy ? copyWrite(text, coordinatorNodeId) : text, options);
  await sink.write(emptyStream(copy, columns));
  await sink.end();
}

/** What says "no rows" in the statement's format. */
function emptyStream({ options }: CopyStatement, columns: readonly string[]): Buffer {
  if (options.format === 'binary') return Buffer.concat([binaryHeader, binaryTrailer]);
  return Buffer.from(copyEncoder(options, columns).header());
}

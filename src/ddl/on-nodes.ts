import { allOrAbort } from '../base/abort.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/identifiers.ts';
import type { CatalogChange } from './change-catalog.ts';
import { definitionSettings } from './definition-settings.ts';

/**
 * Runs each node's statements, the nodes side by side, one message per node. `unsupportedTable` when a node lacks a type, function or
 * another thing that they name.
 */
export async function runOnNodes(change: CatalogChange, statements: ReadonlyMap<NodeId, readonly string[]>): Promise<void> {
  const busy = [...statements].filter(([, list]) => list.length > 0);
  await allOrAbort(change.signal, busy.map(([node, list]) => (signal) => runOnNode({ ...change, signal }, node, list)));
}

async function runOnNode(change: CatalogChange, node: NodeId, statements: readonly string[]): Promise<void> {
  const connection = await change.transaction.join(node, 'write', { signal: change.signal });
  try {
    await connection.query({ text: [definitionSettings, ...statements].join(';\n'), simple: true }, { signal: change.signal });
  } catch (error) {
    throw missingOnNode(change, node, error);
  }
}

/** What a definition can name that only the coordinator database has: types, functions, operator classes, collations, schemas. */
const missingStates = new Set(['42704', '42883', '3F000']);

function missingOnNode(change: CatalogChange, node: NodeId, error: unknown): unknown {
  if (!missingStates.has(sqlStateOf(error) ?? '') || !(error instanceof Error)) return error;
  const address = change.nodes.find(({ id }) => id === node);
  const where = address === undefined ? `${node}` : `${node} (${address.host}:${address.port}/${address.database})`;
  return new ClusterError('unsupportedTable', `node ${where} lacks something that the table needs: ${error.message}`, {
    hint: 'Create it there as well, just as it is in the coordinator database.',
    cause: error,
  });
}

/** A statement that creates the schema unless it is there; then no right to create schemas is needed. */
export function ensureSchema(schema: string): string {
  const create = `BEGIN IF to_regnamespace(${quoteLiteral(quoteIdentifier(schema))}) IS NULL THEN CREATE SCHEMA ${quoteIdentifier(schema)}; END IF; END`;
  return `DO ${quoteLiteral(create)}`;
}

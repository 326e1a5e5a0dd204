import { allOrAbort } from '../base/abort.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/identifiers.ts';
import type { CatalogChange } from './change-catalog.ts';
import { definitionSettings } from './definition-settings.ts';
import type { TableDefinition } from './table-definition.ts';

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

/** A statement that creates the schema unless it is there, and lets the roles use it that can where the table is from; without need no right is needed. */
export function ensureSchema({ schema, schemaUsers }: Pick<TableDefinition, 'schema' | 'schemaUsers'>): string {
  const create = `IF to_regnamespace(${quoteLiteral(quoteIdentifier(schema))}) IS NULL THEN CREATE SCHEMA ${quoteIdentifier(schema)}; END IF;`;
  return `DO ${quoteLiteral(['BEGIN', create, ...(schemaUsers ?? []).map((role) => ensureUsage(schema, role)), 'END'].join(' '))}`;
}

/** `role` is SQL: PUBLIC, or a name, quoted where need be. */
function ensureUsage(schema: string, role: string): string {
  const [name, whose] = [quoteIdentifier(schema), role === 'PUBLIC' ? "'public'" : `${quoteLiteral(role)}::regrole`];
  return `IF NOT has_schema_privilege(${whose}, ${quoteLiteral(schema)}, 'USAGE') THEN GRANT USAGE ON SCHEMA ${name} TO ${role}; END IF;`;
}

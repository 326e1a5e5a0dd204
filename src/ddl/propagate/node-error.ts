import { ClusterError, sqlStateOf } from '../../base/errors.ts';
import { type CatalogSnapshot, tableKey } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { withLogicalNames } from '../../execute/logical-names.ts';
import type { Outcome } from './node-work.ts';

interface Where {
  readonly snapshot: CatalogSnapshot;
  /** What the statement has changed so far. */
  readonly outcome?: Outcome | undefined;
  readonly node: NodeId;
}

/** What a definition can name that only the coordinator database has: types, functions, operator classes, collations, schemas, roles. */
const missingStates = new Set(['42704', '42883', '3F000']);

/** A node's error in words of the tables, new parts of them included; it says which node. `unsupportedDdl` when the node lacks something. */
export function nodeError(error: unknown, { snapshot, outcome, node }: Where): unknown {
  if (!(error instanceof Error) || error instanceof ClusterError) return error;
  const named = withLogicalNames(error, outcome === undefined ? snapshot : namesDuring(snapshot, outcome)) as Error;
  const address = snapshot.nodes.find(({ id }) => id === node);
  const where = address === undefined ? `node ${node}` : `node ${node} (${address.host}:${address.port}/${address.database})`;
  if (missingStates.has(sqlStateOf(named) ?? '')) {
    return new ClusterError('unsupportedDdl', `${where} lacks something that the change needs: ${named.message}`, {
      hint: 'Create it there as well, just as it is in the coordinator database.', cause: named,
    });
  }
  const told: unknown = Reflect.get(named, 'where');
  Reflect.set(named, 'where', typeof told === 'string' ? `${told}, ${where}` : where);
  for (const field of ['position', 'internalPosition', 'internalQuery']) Reflect.set(named, field, undefined);
  return named;
}

/** The tables with what they are called while the statement runs: by the names before and after, and shards by their old ids. */
function namesDuring(snapshot: CatalogSnapshot, { changed }: Outcome): CatalogSnapshot {
  const tables = new Map(snapshot.tables);
  for (const { table, change: { before, after } } of changed) {
    const parts = [before, after].flatMap(({ constraints, indexes }) => [...(constraints ?? []), ...(indexes ?? [])].map(({ name }) => name));
    tables.set(tableKey(table.schema, table.name), { ...table, name: after.name, constraints: [...table.constraints, before.name, ...parts] });
  }
  return { ...snapshot, tables };
}

import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';

/**
 * Tables with all that refer to them by foreign keys, over any number of steps: what CASCADE of TRUNCATE means. Says so in PostgreSQL's notices. `unsupportedWrite` when a local
 * table is among them.
 */
export async function referringTables(
  coordinator: NodeConnection,
  { snapshot, tables }: { readonly snapshot: CatalogSnapshot; readonly tables: readonly CatalogTable[] },
  options: CallOptions,
): Promise<CatalogTable[]> {
  const { rows } = await coordinator.query({ text: referringQuery, values: [tables.map(({ oid }) => oid)] }, options);
  const known = new Map([...snapshot.tables.values()].map((table) => [table.oid, table]));
  const referring = rows.map(([oid, name]) => {
    const table = known.get(Number(oid));
    if (table === undefined) throw refersLocally(name ?? '');
    return table;
  });
  for (const { name } of referring) {
    options.onNotice?.({ severity: 'NOTICE', code: '00000', message: `truncate cascades to table "${name}"` });
  }
  return [...tables, ...referring];
}

const referringQuery = `
WITH RECURSIVE reached (oid) AS (
  SELECT pg_catalog.unnest($1::oid[])
  UNION SELECT o.conrelid FROM reached r JOIN pg_catalog.pg_constraint o ON o.confrelid = r.oid AND o.contype = 'f'
)
SELECT c.oid, c.relname FROM reached JOIN pg_catalog.pg_class c USING (oid) WHERE c.oid <> ALL ($1::oid[]) ORDER BY c.oid`;

function refersLocally(name: string): ClusterError {
  return new ClusterError('unsupportedWrite', 'the write cannot be distributed', {
    detail: `TRUNCATE … CASCADE reaches local table "${name}".`, hint: 'Truncate it first, and drop its foreign key or distribute it.',
  });
}

import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { LocalTable } from './truncate-tables.ts';

export interface ReferringTables {
  readonly tables: readonly CatalogTable[];
  readonly locals: readonly LocalTable[];
}

/** Tables with all that refer to them by foreign keys, over any number of steps: what CASCADE of TRUNCATE means. Says so in PostgreSQL's notices. */
export async function referringTables(
  coordinator: NodeConnection,
  { snapshot, tables }: { readonly snapshot: CatalogSnapshot; readonly tables: readonly CatalogTable[] },
  options: CallOptions,
): Promise<ReferringTables> {
  const { rows } = await coordinator.query({ text: referringQuery, values: [tables.map(({ oid }) => oid)] }, options);
  const known = new Map([...snapshot.tables.values()].map((table) => [table.oid, table]));
  const all = [...tables];
  const locals: LocalTable[] = [];
  for (const [oid, schema, name] of rows) {
    const table = known.get(Number(oid));
    if (table === undefined) locals.push({ schema: schema ?? '', name: name ?? '' });
    else all.push(table);
    options.onNotice?.({ severity: 'NOTICE', code: '00000', message: `truncate cascades to table "${name}"` });
  }
  return { tables: all, locals };
}

const referringQuery = `
WITH RECURSIVE reached (oid) AS (
  SELECT pg_catalog.unnest($1::oid[])
  UNION SELECT o.conrelid FROM reached r JOIN pg_catalog.pg_constraint o ON o.confrelid = r.oid AND o.contype = 'f'
)
SELECT c.oid, n.nspname, c.relname FROM reached JOIN pg_catalog.pg_class c USING (oid) JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid <> ALL ($1::oid[]) ORDER BY c.oid`;

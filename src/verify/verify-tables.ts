import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import { copyHolders } from '../catalog/reference-copies.ts';
import { type RowDifference, verifyReport, type VerifyReport } from './row-difference.ts';
import { verifyDistributed } from './verify-distributed.ts';
import { verifyLookup } from './verify-lookup.ts';
import type { TableCheck, VerifyOptions, VerifyServices } from './verify-context.ts';
import { verifyReference } from './verify-reference.ts';

const differencesMaxDefault = 100;

/**
 * Proves of every row that it is where it belongs: a distributed table's on the shard of its hash, and no two where a unique index allows one, each key in its unique lookups, and no others; a reference table's the same in all copies. One table after the other, while
 * they are read and written. Changes nothing.
 */
export async function verifyTables(services: VerifyServices, tables: readonly CatalogTable[], { differencesMax = differencesMaxDefault, signal, onProgress }: VerifyOptions): Promise<VerifyReport> {
  const snapshot = await services.newestCatalog({ signal });
  const shardsTotal = tables.reduce((sum, table) => sum + shardsOf(table, snapshot), 0);
  const differences: RowDifference[] = [];
  let [complete, rows, shardsDone] = [true, 0, 0];
  for (const table of tables) {
    const tell = (): void => onProgress?.({ schema: table.schema, table: table.name, shardsTotal: Math.max(shardsTotal, shardsDone), shardsDone, rows });
    const check: TableCheck = {
      services, table, signal, differencesMax,
      read: (more) => {
        rows += more;
        tell();
      },
      done: () => {
        shardsDone += 1;
        tell();
      },
    };
    const lookups = snapshot.lookups.filter(({ lookupTable }) => lookupTable === table.oid);
    const parts = [() => (table.kind === 'reference' ? verifyReference(check) : verifyDistributed(check)), ...lookups.map((lookup) => () => verifyLookup(check, lookup))];
    for (const part of parts) {
      const found = await part();
      differences.push(...found.differences);
      complete &&= found.complete;
    }
  }
  return verifyReport(differences, { complete, tables: tables.length, shards: shardsDone, rows });
}

function shardsOf(table: CatalogTable, { nodes }: CatalogSnapshot): number {
  return table.kind === 'reference' ? copyHolders({ nodes }, table).length : table.shardIds.length;
}

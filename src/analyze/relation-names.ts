import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import { tableKey } from '../catalog/catalog-snapshot.ts';
import { resultSchema, type ResultTable } from './result-table.ts';

/** Resolves relation names as PostgreSQL does: by schema, or along the search path. */
export class RelationNames {
  constructor(
    readonly snapshot: CatalogSnapshot,
    readonly searchPath: readonly string[],
    /** Intermediate results by name. */
    readonly results: ReadonlyMap<string, ResultTable> = new Map(),
  ) {}

  result(schema: string | undefined, name: string): ResultTable | undefined {
    return schema === resultSchema ? this.results.get(name) : undefined;
  }

  /**
   * The distributed or reference table of that name; undefined for any other. An unqualified name is looked for along the search path;
   * a local table of the same name in an earlier schema is not known here and would hide it (see `docs/limits.md`).
   */
  resolve(schema: string | undefined, name: string): CatalogTable | undefined {
    if (schema !== undefined) return this.snapshot.tables.get(tableKey(schema, name));
    for (const candidate of this.searchPath) {
      const table = this.snapshot.tables.get(tableKey(candidate, name));
      if (table !== undefined) return table;
    }
    return undefined;
  }

  isDependentView(schema: string | undefined, name: string): boolean {
    const schemas = schema === undefined ? this.searchPath : [schema];
    return schemas.some((candidate) => this.snapshot.dependentViews.has(tableKey(candidate, name)));
  }
}

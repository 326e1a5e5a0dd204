import type { CatalogSnapshot, CatalogTable, DependentView } from '../catalog/catalog-snapshot.ts';
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

  /** The view of that name that reads distributed or reference tables, and has no rows of its own. The same holds for names without schema. */
  dependentView(schema: string | undefined, name: string): DependentView | undefined {
    const view = this.#view(schema, name);
    return view?.fill === undefined ? view : undefined;
  }

  /** The materialized view of that name which the cluster fills. */
  filledView(schema: string | undefined, name: string): DependentView | undefined {
    const view = this.#view(schema, name);
    return view?.fill === undefined ? undefined : view;
  }

  #view(schema: string | undefined, name: string): DependentView | undefined {
    const schemas = schema === undefined ? this.searchPath : [schema];
    for (const candidate of schemas) {
      const view = this.snapshot.dependentViews.get(tableKey(candidate, name));
      if (view !== undefined) return view;
    }
    return undefined;
  }
}

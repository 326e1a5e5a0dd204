import type { RangeVar, SelectStmt } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import type { FunctionRules } from '../../analyze/function-calls.ts';
import type { Spread } from '../../analyze/placement.ts';
import { isGrouped } from '../../analyze/place-query.ts';
import type { SelectQuery } from '../../analyze/query-level.ts';
import { levelsIn, queriesIn } from '../../analyze/reads-around.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { UsePlace } from './use-places.ts';

export interface CostInput {
  readonly analyzed: AnalyzedStatement;
  readonly places: ReadonlyMap<RangeVar, UsePlace>;
  readonly rules: FunctionRules;
  readonly nodes: number;
  /** About the bytes that each occurrence of a table would send. */
  readonly bytes: ReadonlyMap<RangeVar, number>;
  /** What a query once had, if that was much more than was believed. */
  readonly seen: (query: SelectStmt) => number | undefined;
}

/** What a stage costs whatever it holds, in bytes that could have been sent instead. */
const stageBytes = 20_000;
/** A subquery's result is about so much smaller than its largest table. */
const groupedShare = 0.1;

/** Estimates of what putting rows on servers costs: in bytes sent. */
export class SpreadCosts {
  readonly #tables: ReadonlyMap<RangeVar, CatalogTable>;

  constructor(private readonly input: CostInput) {
    this.#tables = new Map(input.analyzed.uses.map(({ rangeVar, table }) => [rangeVar, table]));
  }

  /** Rows go to every node while some table stays where it is, or to that of single-shard tables; else to one server, which then does the work of all. */
  of({ tables, queries, rehashed }: Spread): number {
    const parts = [...tables, ...queries];
    const bytes = parts.reduce((sum, part) => sum + this.bytesOf(part), 0);
    const moved = [...rehashed.keys()].reduce((sum, table) => sum + this.bytesOf(table), 0);
    const staying = [...this.#tables].filter(([rangeVar, table]) => table.kind === 'distributed' && !tables.has(rangeVar) && !this.#isIn(rangeVar, queries));
    const isOneShard = staying.every(([, table]) => table.kind === 'distributed' && table.distributionColumn === undefined);
    return (parts.length + rehashed.size) * stageBytes + bytes * (staying.length === 0 ? 2 : isOneShard ? 1 : this.input.nodes) + moved;
  }

  bytesOf(part: RangeVar | SelectStmt): number {
    const place = this.input.places.get(part as RangeVar);
    return place === undefined ? Math.max(this.#bytesOfQuery(part as SelectStmt), this.input.seen(part as SelectStmt) ?? 0) : this.#bytesOfTable(place);
  }

  #bytesOfTable({ rangeVar }: UsePlace): number {
    return this.input.bytes.get(rangeVar) ?? 0;
  }

  #bytesOfQuery(statement: SelectStmt): number {
    const tables = [...this.input.places.values()].filter(({ query }) => this.#holds(statement, query));
    const largest = Math.max(0, ...tables.map((place) => this.#bytesOfTable(place)));
    const top = tables.find(({ query }) => query.statement === statement)?.query;
    if (statement.limitCount !== undefined) return Math.min(largest, stageBytes);
    if (top === undefined || !isGrouped(top, this.input.rules)) return largest;
    return statement.groupClause === undefined ? 100 : largest * groupedShare;
  }

  #isIn(rangeVar: RangeVar, queries: ReadonlySet<SelectStmt>): boolean {
    const query = this.input.places.get(rangeVar)?.query;
    return query !== undefined && [...queries].some((statement) => this.#holds(statement, query));
  }

  /** Whether a query level stands in the query of a statement. */
  #holds(statement: SelectStmt, level: SelectQuery): boolean {
    const top = this.#queries().get(statement);
    return top?.has(level) === true;
  }

  #held: Map<SelectStmt, ReadonlySet<SelectQuery>> | undefined;

  #queries(): Map<SelectStmt, ReadonlySet<SelectQuery>> {
    this.#held ??= heldLevels(this.input.analyzed);
    return this.#held;
  }
}

function heldLevels({ query }: AnalyzedStatement): Map<SelectStmt, ReadonlySet<SelectQuery>> {
  const held = new Map<SelectStmt, ReadonlySet<SelectQuery>>();
  for (const inner of queriesIn(query)) held.set(inner.statement, new Set(levelsIn(inner)));
  return held;
}

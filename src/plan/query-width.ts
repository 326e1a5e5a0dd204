import type { CommonTableExpr, Node, RangeVar, SelectStmt } from '@pgsql/types';
import { nameParts, relationAlias, walk } from '../sql/ast.ts';
import { returningItems, starOf } from './star.ts';

interface Around {
  /** The statement that the query is a part of. */
  readonly statement: Node;
  /** How many columns a table has; undefined where it is not known, or a common table expression is meant. */
  tableWidth(rangeVar: RangeVar): number | undefined;
}

/** How many columns a query has, or RETURNING of a write; undefined where only a server knows. */
export function queryWidth(query: Node, around: Around): number | undefined {
  return new Widths(around).ofQuery(query);
}

class Widths {
  readonly #around: Around;
  readonly #common = new Map<string, CommonTableExpr[]>();
  /** WITH RECURSIVE may lead back to itself. */
  readonly #entered = new Set<CommonTableExpr>();

  constructor(around: Around) {
    this.#around = around;
    walk(around.statement, (kind, body: CommonTableExpr) => {
      if (kind === 'CommonTableExpr') this.#common.set(body.ctename ?? '', [...(this.#common.get(body.ctename ?? '') ?? []), body]);
      return undefined;
    });
  }

  ofQuery(query: Node): number | undefined {
    if ('SelectStmt' in query) return this.#ofSelect(query.SelectStmt);
    const [written] = Object.entries(query).map(([kind, body]) => returningItems(kind, body));
    return written === undefined ? undefined : this.#ofTargets(written.targets, written.items);
  }

  #ofSelect({ valuesLists, larg, targetList = [], fromClause = [] }: SelectStmt): number | undefined {
    const [row] = valuesLists ?? [];
    if (row !== undefined) return 'List' in row ? row.List.items?.length : undefined;
    return larg === undefined ? this.#ofTargets(targetList, fromClause) : this.#ofSelect(larg);
  }

  #ofTargets(targets: readonly Node[], items: readonly Node[]): number | undefined {
    return sum(targets.map((target) => {
      if ('ResTarget' in target && target.ResTarget.val !== undefined && 'A_Indirection' in target.ResTarget.val) return undefined;
      const star = starOf(target);
      if (star === undefined) return 1;
      const [name] = nameParts(star.fields).slice(-2, -1);
      if (name === undefined) return sum(items.map((item) => this.#ofItem(item)));
      const named = items.filter((item) => 'RangeVar' in item && relationAlias(item.RangeVar) === name);
      return named.length === 1 ? sum(named.map((item) => this.#ofItem(item))) : undefined;
    }));
  }

  #ofItem(item: Node): number | undefined {
    if ('RangeVar' in item) return this.#around.tableWidth(item.RangeVar) ?? this.#ofCommon(item.RangeVar);
    if ('RangeSubselect' in item) return item.RangeSubselect.subquery === undefined ? undefined : this.ofQuery(item.RangeSubselect.subquery);
    if (!('JoinExpr' in item) || item.JoinExpr.isNatural === true || item.JoinExpr.usingClause !== undefined) return undefined;
    return sum([item.JoinExpr.larg, item.JoinExpr.rarg].map((side) => (side === undefined ? undefined : this.#ofItem(side))));
  }

  #ofCommon({ schemaname, relname = '' }: RangeVar): number | undefined {
    const [common, ...others] = schemaname === undefined ? (this.#common.get(relname) ?? []) : [];
    if (common?.ctequery === undefined || others.length > 0 || this.#entered.has(common)) return undefined;
    this.#entered.add(common);
    return this.ofQuery(common.ctequery);
  }
}

function sum(widths: readonly (number | undefined)[]): number | undefined {
  return widths.includes(undefined) ? undefined : widths.reduce<number>((total, width = 0) => total + width, 0);
}

import type { ColumnRef, DeleteStmt, JoinExpr, MergeStmt, Node, RangeVar, SelectStmt, UpdateStmt } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import { nameParts, relationAlias } from '../../sql/ast.ts';

/** What a statement says of columns, by name: more than it means, never less. */
export class ColumnNeeds {
  readonly #names = new Set<string>();
  /** Relations whose every column is wanted by a star. */
  readonly #starred = new Set<RangeVar>();
  readonly #starredNames = new Set<string>();
  #natural = false;

  readonly #except: ReadonlySet<unknown>;

  /** `except`: parts of the tree that will not stand there any more. */
  constructor(tree: unknown, except: ReadonlySet<unknown> = new Set()) {
    this.#except = except;
    this.#visit(tree, undefined);
  }

  /** Which of a relation's columns are needed, in their order; all of them where that cannot be told. At least one. */
  of(rangeVar: RangeVar, columns: readonly string[]): readonly string[] {
    const alias = relationAlias(rangeVar);
    const all = this.#natural || this.#starred.has(rangeVar) || this.#starredNames.has(alias) || this.#names.has(alias) || rangeVar.alias?.colnames !== undefined;
    if (all) return columns;
    const needed = columns.filter((name) => this.#names.has(name));
    return needed.length > 0 ? needed : columns.slice(0, 1);
  }

  #visit(tree: unknown, parent: string | undefined): void {
    if (Array.isArray(tree)) {
      for (const item of tree) this.#visit(item, parent);
      return;
    }
    if (typeof tree !== 'object' || tree === null || this.#except.has(tree)) return;
    if ('targetList' in tree || 'fromClause' in tree) this.#visitSelect(tree as SelectStmt, parent === 'EXISTS');
    if ('returningClause' in tree) this.#visitReturning(tree as WritingNode);
    for (const [key, value] of Object.entries(tree)) {
      if (key === 'ColumnRef') this.#visitColumn(value as ColumnRef);
      else if (key === 'JoinExpr') this.#visitJoin(value as JoinExpr);
      const inExists = key === 'SubLink' && (value as { subLinkType?: string }).subLinkType === 'EXISTS_SUBLINK';
      this.#visit(value, inExists || (parent === 'EXISTS' && (key === 'subselect' || key === 'SelectStmt')) ? 'EXISTS' : undefined);
    }
  }

  /** What EXISTS selects does not matter. */
  #visitSelect({ targetList, fromClause }: SelectStmt, inExists: boolean): void {
    if (inExists || !(targetList ?? []).some(isBareStar)) return;
    for (const rangeVar of namedRelations(fromClause)) this.#starred.add(rangeVar);
  }

  /** RETURNING * shows what FROM or USING adds, too. */
  #visitReturning({ returningClause, fromClause, usingClause, sourceRelation }: WritingNode): void {
    if (!(returningClause?.exprs ?? []).some(isBareStar)) return;
    for (const rangeVar of namedRelations([fromClause, usingClause, sourceRelation])) this.#starred.add(rangeVar);
  }

  #visitColumn({ fields }: ColumnRef): void {
    const parts = nameParts(fields);
    const last = parts.at(-1) ?? '';
    if (last !== '*') this.#names.add(last);
    else if (parts.length > 1) this.#starredNames.add(parts.at(-2) ?? '');
  }

  /** A natural join merges all names that both sides have; a join's alias may list names for all columns. */
  #visitJoin({ isNatural, usingClause, alias }: JoinExpr): void {
    this.#natural ||= isNatural === true || alias?.colnames !== undefined;
    for (const name of nameParts(usingClause)) this.#names.add(name);
  }
}

/** The parts that writes have, each some of them. */
type WritingNode = Pick<UpdateStmt, 'returningClause' | 'fromClause'> & Pick<DeleteStmt, 'usingClause'> & Pick<MergeStmt, 'sourceRelation'>;

function isBareStar(target: Node): boolean {
  const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
  return value !== undefined && 'ColumnRef' in value && nameParts(value.ColumnRef.fields).join('.') === '*';
}

import type { ColumnRef, Node, RangeVar, ReturningClause, ReturningOption } from '@pgsql/types';

/** `*` or `o.*` as an item of a list. */
export function starOf(target: Node): ColumnRef | undefined {
  const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
  if (value === undefined || !('ColumnRef' in value)) return undefined;
  const last = value.ColumnRef.fields?.at(-1);
  return last !== undefined && 'A_Star' in last ? value.ColumnRef : undefined;
}

/** Fields of statements that write. */
interface Written {
  readonly relation?: RangeVar;
  readonly fromClause?: readonly Node[];
  readonly usingClause?: readonly Node[];
  readonly sourceRelation?: Node;
  readonly returningClause?: ReturningClause;
}

export interface Returned {
  readonly targets: readonly Node[];
  /** What `*` shows there, in order: of MERGE the source comes first. */
  readonly items: readonly Node[];
  /** The rows of what is written, before and after, by the names that they have unless another relation has them. */
  readonly versions?: { readonly relation: RangeVar; readonly names: readonly string[] } | undefined;
}

const writes: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

/** What RETURNING of a statement, as `walk` shows it, returns, and of what; undefined for other statements, and without. */
export function returningItems(kind: string, body: Written): Returned | undefined {
  const { relation, fromClause = [], usingClause = [], sourceRelation, returningClause } = body;
  if (!writes.has(kind) || returningClause === undefined) return undefined;
  const items = [...(sourceRelation === undefined ? [] : [sourceRelation]), ...(relation === undefined ? [] : [{ RangeVar: relation }]), ...fromClause, ...usingClause];
  const names = versionNames(returningClause.options ?? []);
  return { targets: returningClause.exprs ?? [], items, versions: relation === undefined ? undefined : { relation, names } };
}

/** `old` and `new`, or as `WITH (OLD AS o)` has it. */
function versionNames(options: readonly Node[]): string[] {
  const given = options.flatMap((one): ReturningOption[] => ('ReturningOption' in one ? [one.ReturningOption] : []));
  const nameOf = (option: ReturningOption['option']) => given.find((one) => one.option === option)?.value;
  return [nameOf('RETURNING_OPTION_OLD') ?? 'old', nameOf('RETURNING_OPTION_NEW') ?? 'new'];
}

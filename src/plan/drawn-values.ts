import type { MergeWhenClause, Node, UpdateStmt } from '@pgsql/types';
import { at } from '../base/assert.ts';
import { collectCalls } from '../analyze/function-calls.ts';
import type { RangeVar } from '../sql/ast.ts';
import { builtinName, holds, walk } from '../sql/ast.ts';
import type { CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { Statement } from '../sql/parse.ts';
import { assignmentsTo, nextOf, ownedSequence } from './sequence-use.ts';
import { unsupported } from './select/unsupported.ts';

/** A sequence, in the coordinator database, of which a statement takes values on its node. `default`: that of a column, qualified and quoted; `called`: in the caller's words; `owned`: a call of `pg_get_serial_sequence`. */
export interface Draw {
  readonly kind: 'default' | 'called' | 'owned';
  readonly sequence: string;
  /** In how many places, of each of which the values come from the same block: so they are in the order in which the node comes to them, as in PostgreSQL. */
  readonly places: number;
  /** All these are what an UPDATE assigns, as a whole: so that there is a value for each row that is written, at least. */
  readonly eachRow: boolean;
}

/** What a statement takes of sequences, and where: the bytes at which calls of `nextval` and keywords DEFAULT start, and which draw each is. */
export interface DrawnPlaces {
  readonly draws: readonly Draw[];
  readonly places: readonly { readonly location: number; readonly draw: number }[];
}

export const nothingDrawn: DrawnPlaces = { draws: [], places: [] };

/** Blocks of values are parameters from this number on, `templateOf(…).draws` in order: no statement of a caller has so many. */
export const firstDrawn = 100_001;

/** Whether a write may take values of sequences where its rows are. */
export function mayDraw(tree: Node): boolean {
  if (holds(tree, 'SetToDefault')) return true;
  let found = false;
  collectCalls(tree, (call) => {
    found ||= builtinName(call.funcname) === 'nextval';
    return !found;
  }, true);
  return found;
}

/**
 * Where a write takes values of sequences. `targets`: its tables by how it names them. Throws `unsupportedQuery` for a sequence that is named by anything but a constant.
 */
export function drawnPlaces({ node, text }: Pick<Statement, 'node' | 'text'>, targets: ReadonlyMap<RangeVar, CatalogTable>): DrawnPlaces {
  // Walking the tree takes longer.
  if (!/nextval|default/i.test(text)) return nothingDrawn;
  const found = [...calls(node), ...defaults(node, targets)].toSorted((a, b) => a.location - b.location);
  const assigned = assignedBy(node);
  const bySequence = new Map<string, Found[]>();
  for (const one of found) {
    const key = JSON.stringify([one.kind, one.sequence]);
    bySequence.set(key, [...(bySequence.get(key) ?? []), one]);
  }
  const groups = [...bySequence.values()];
  return {
    draws: groups.map((group) => ({ kind: at(group, 0).kind, sequence: at(group, 0).sequence, places: group.length, eachRow: group.every(({ location }) => assigned.has(location)) })),
    places: groups.flatMap((group, draw) => group.map(({ location }) => ({ location, draw }))),
  };
}

/** Where the values of an UPDATE start that are such a call, or DEFAULT. */
function assignedBy(node: Node): ReadonlySet<number> {
  const values = 'UpdateStmt' in node ? (node.UpdateStmt.targetList ?? []).flatMap((item) => ('ResTarget' in item ? [item.ResTarget.val] : [])) : [];
  return new Set(values.flatMap((value) => {
    if (value === undefined) return [];
    return 'SetToDefault' in value ? [value.SetToDefault.location ?? 0] : 'FuncCall' in value ? [value.FuncCall.location ?? 0] : [];
  }));
}

interface Found extends Pick<Draw, 'kind' | 'sequence'> {
  readonly location: number;
}

function calls(node: Node): Found[] {
  const found: Found[] = [];
  collectCalls(node, (call) => {
    if (builtinName(call.funcname) !== 'nextval') return true;
    const named = nextOf({ FuncCall: call });
    const sequence = named ?? ownedSequence(call);
    if (sequence === undefined) throw unsupported('nextval() is called where nodes run it, of a sequence that is not named by a constant.', 'Write the name of the sequence as a constant.');
    found.push({ location: call.location ?? 0, kind: named === undefined ? 'owned' : 'called', sequence });
    return false;
  }, true);
  return found;
}

/** DEFAULT in UPDATE, ON CONFLICT and MERGE, of columns whose defaults are sequences. */
function defaults(node: Node, targets: ReadonlyMap<RangeVar, CatalogTable>): Found[] {
  const found: Found[] = [];
  const add = (assigned: readonly Node[], table: CatalogTable | undefined): void => {
    if (table !== undefined) found.push(...drawnBy(assigned, table));
  };
  walk(node, (kind, body) => {
    if (!writing.has(kind)) return undefined;
    const { relation, targetList = [], onConflictClause, mergeWhenClauses = [] }: Written = body;
    const table = relation === undefined ? undefined : targets.get(relation);
    if (kind === 'UpdateStmt') add(targetList, table);
    add(onConflictClause?.targetList ?? [], table);
    for (const clause of mergeWhenClauses) {
      const when: MergeWhenClause | undefined = 'MergeWhenClause' in clause ? clause.MergeWhenClause : undefined;
      if (when?.commandType === 'CMD_UPDATE') add(when.targetList ?? [], table);
    }
    return undefined;
  });
  return found;
}

const writing: ReadonlySet<string> = new Set(['UpdateStmt', 'InsertStmt', 'MergeStmt']);

interface Written extends Pick<UpdateStmt, 'relation' | 'targetList'> {
  readonly onConflictClause?: { readonly targetList?: Node[] };
  readonly mergeWhenClauses?: Node[];
}

function drawnBy(assigned: readonly Node[], table: CatalogTable): Found[] {
  return assignmentsTo(assigned, table).flatMap(({ column, isDefault, location }) => (isDefault && column.default?.kind === 'sequence' ? [{ location, kind: 'default' as const, sequence: column.default.sequence }] : []));
}

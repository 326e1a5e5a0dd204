import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import { nameParts, readsOrWrites } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';
import { computedByDefinition } from './computed-by-definition.ts';
import type { PreparedPlan } from './planner.ts';
import type { NamedEffects } from './sequence-effects.ts';
import { codeSetsSequences, hasUnnamedCode, readSequenceFacts, type RelationFacts } from './sequence-facts.ts';

/** By names: whether a function may do anything, and what a relation does; those that are there. */
interface Known {
  readonly functions: Map<string, boolean>;
  readonly relations: Map<string, RelationFacts>;
  /** Undefined before it is asked: operators, casts and the like may do anything. */
  unnamed: boolean | undefined;
}

/** What a statement runs, as far as its text says. */
export type RunByNames = Pick<PreparedPlan, 'statement' | 'snapshot' | 'sequenceEffects'>;

export interface NamedWhere {
  readonly scope: StatementScope;
  /** Under which the names stand. */
  readonly searchPath: readonly string[];
}

/** Whether a statement, outside of a block, may end transactions by itself. */
export async function mayCommit({ node, text }: Statement, scope: StatementScope): Promise<boolean> {
  if ('DoStmt' in node) return ends.test(text);
  const name = 'CallStmt' in node ? nameParts(node.CallStmt.funccall?.funcname).at(-1) : undefined;
  if (name === undefined) return false;
  const { rows } = await scope.run(coordinatorNodeId, { text: procedureQuery, values: [name] }, 'read');
  return rows.some(([source]) => ends.test(source ?? ''));
}

/** By another procedure, too. A text that is run by EXECUTE cannot, nor what it calls. `spi_commit` is PL/Perl's. */
const ends = /(\b|spi_)(commit|rollback|call)\b/i;
const procedureQuery = `SELECT prosrc FROM pg_catalog.pg_proc WHERE prokind = 'p' AND proname = $1`;

/** What gives no function, trigger or relation a name. */
const givesNoNames: ReadonlySet<string> = new Set(['VariableShowStmt', 'VariableSetStmt', 'LockStmt', 'FetchStmt', 'ClosePortalStmt', 'DeclareCursorStmt', 'ExplainStmt', 'PrepareStmt', 'DeallocateStmt', 'NotifyStmt', 'ListenStmt', 'UnlistenStmt', 'ConstraintsSetStmt', 'VacuumStmt', 'CopyStmt']);

/** Whether a statement may make what nobody else sees yet. */
export function mayGiveNames({ node }: Statement): boolean {
  return !readsOrWrites(node) && !givesNoNames.has(Object.keys(node)[0] ?? '');
}

/** Which statements may run code of the user's in the coordinator database. It is asked of each name once for each version of the catalog. */
export class KnownCode {
  #known = new WeakMap<CatalogSnapshot, Map<string, Known>>();
  #sets = new WeakMap<CatalogSnapshot, boolean>();

  /** Without asking where nothing is named that is not known. */
  runs(prepared: RunByNames, where: NamedWhere): boolean | Promise<boolean> {
    const { sequenceEffects, snapshot, statement } = prepared;
    if (snapshot.tables.size === 0) return false;
    const effects = computedByDefinition(statement) ?? (mayRunCode(statement.node) ? sequenceEffects : undefined);
    if (effects === undefined) return false;
    if (effects.kind === 'unknown') return true;
    const named = effects.kind === 'named' ? effects : namesNothing;
    const known = this.#of(snapshot, where);
    return isKnown(named, known) ? mayDoAnything(named, known) : this.#ask(named, { known, ...where });
  }

  /** Whether code that runs may set sequences, or make others of their names: some that the database has names what does. It may do so through other code, so what the statement names does not tell. */
  setsSequences(snapshot: CatalogSnapshot, scope: StatementScope): boolean | Promise<boolean> {
    return this.#sets.get(snapshot) ?? codeSetsSequences(scope).then((sets) => {
      this.#sets.set(snapshot, sets);
      return sets;
    });
  }

  /** What the session's names mean has changed. */
  forget(): void {
    this.#known = new WeakMap();
    this.#sets = new WeakMap();
  }

  #of(snapshot: CatalogSnapshot, { searchPath }: NamedWhere): Known {
    const byPath = this.#known.get(snapshot) ?? new Map<string, Known>();
    this.#known.set(snapshot, byPath);
    const key = JSON.stringify(searchPath);
    const known = byPath.get(key) ?? { functions: new Map<string, boolean>(), relations: new Map<string, RelationFacts>(), unnamed: undefined };
    byPath.set(key, known);
    return known;
  }

  async #ask(effects: NamedEffects, { known, scope }: NamedWhere & { readonly known: Known }): Promise<boolean> {
    const functions = effects.functions.filter((name) => !known.functions.has(name));
    const relations = effects.relations.filter((name) => !known.relations.has(name));
    const facts = await readSequenceFacts(scope, [{ ...effects, functions, relations, sequences: [] }], []);
    for (const name of functions) known.functions.set(name, facts.functions.has(name));
    for (const [name, relation] of facts.relations) if (relation !== null) known.relations.set(name, relation);
    known.unnamed ??= await hasUnnamedCode(scope);
    return mayDoAnything(effects, known);
  }
}

const namesNothing: NamedEffects = { kind: 'named', sequences: [], functions: [], relations: [], common: new Set(), writes: false, fills: [] };

/** What runs code, and can do so in a transaction block, besides changes of definitions. */
const canBeInBlock: ReadonlySet<string> = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'TruncateStmt', 'CreateTableAsStmt', 'RefreshMatViewStmt', 'ExecuteStmt', 'CallStmt', 'DoStmt', 'FetchStmt', 'DeclareCursorStmt', 'CopyStmt']);

/** EXPLAIN runs its statement with ANALYZE alone. */
function mayRunCode(node: Statement['node']): boolean {
  if ('ExplainStmt' in node) return (node.ExplainStmt.options ?? []).some((option) => 'DefElem' in option && option.DefElem.defname === 'analyze');
  return canBeInBlock.has(Object.keys(node)[0] ?? '');
}

function isKnown({ functions, relations, common }: NamedEffects, known: Known): boolean {
  return known.unnamed !== undefined && functions.every((name) => known.functions.has(name)) && relations.every((name) => known.relations.has(name) || common.has(name));
}

function mayDoAnything({ functions, relations, writes }: NamedEffects, known: Known): boolean {
  if (known.unnamed === true) return true;
  return functions.some((name) => known.functions.get(name) === true) || relations.some((name) => {
    const facts = known.relations.get(name);
    return facts !== undefined && (facts.readsByCode || (writes && (facts.writesByCode || facts.checksByCode)));
  });
}

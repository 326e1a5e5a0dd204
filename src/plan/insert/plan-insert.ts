import type { InsertStmt, Node } from '@pgsql/types';
import { at, present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import { constantOf } from '../../analyze/conditions.ts';
import { namedRelations, namesSystemColumn } from '../../analyze/analyze-statement.ts';
import type { ConstantSource } from '../../analyze/constant-set.ts';
import { builtinRules, hasVolatileCall } from '../../analyze/function-calls.ts';
import type { CatalogSnapshot, CatalogTable, Column } from '../../catalog/catalog-snapshot.ts';
import { nameParts } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { Statement } from '../../sql/parse.ts';
import type { Token } from '../../sql/scan.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import type { Edit, Template } from '../../sql/template.ts';
import { applyEdits } from '../../sql/template.ts';
import { positionColumns } from '../check-select.ts';
import { NameCutter } from '../name-cutter.ts';
import { placerOf } from '../prune.ts';
import { schemaCuts } from '../schema-cuts.ts';
import { callsOnce, onceExpressions, onceTimeType } from '../select/evaluate-once.ts';
import { nextOf, refuseDefaults, refuseSequences, usesSequence } from '../sequence-use.ts';
import { columnEdits, listOf } from '../table-columns.ts';
import { readsAlike, sharesParameters } from '../typed-parameters.ts';
import { type ArrayRows, arrayRows } from './array-rows.ts';
import { assignableType } from './assignable-type.ts';
import type { ComputedValue, InsertPlan, InsertRow, TargetHole, ValueSlot } from './insert-plan.ts';
import { type MomentParameter, momentParameter, namesMoment } from './moments.ts';
import { refused } from './refused.ts';
import { hasCall, hasSubquery, isDefault, rowNodes } from './row-nodes.ts';
import type { ValueRow } from './value-rows.ts';
import { keywordAt, valueRows } from './value-rows.ts';

export interface InsertInput {
  readonly table: CatalogTable;
  readonly snapshot: CatalogSnapshot;
  /** SQL types of the parameters in the whole statement; undefined where none depends on another place of the statement. */
  readonly parameterTypes: readonly string[] | undefined;
}

/**
 * Plans INSERT … VALUES and INSERT … DEFAULT VALUES. Undefined when the statement is not well formed (too many values, unknown columns):
 * describing it gives PostgreSQL's own error.
 */
export function planInsert(statement: Statement, insert: InsertStmt, input: InsertInput): InsertPlan | undefined {
  if (insert.withClause !== undefined) throw refused('WITH in front of INSERT … VALUES.', 'Write the INSERT without WITH.');
  if (namedRelations([insert.onConflictClause, insert.returningClause]).length > 0) {
    throw refused('A subquery stands in ON CONFLICT or RETURNING.', 'Run it as a statement of its own.');
  }
  if (namesSystemColumn([insert.onConflictClause, insert.returningClause], shardColumns)) {
    throw refused('System column "tableoid" would show shards.', 'Leave it out.');
  }
  if (input.table.kind === 'reference' && namesSystemColumn(insert.onConflictClause, positionColumns)) {
    throw refused('A system column in ON CONFLICT means something else in each copy of a reference table.', 'Leave it out.');
  }
  const listed = listedColumns(insert, input.table);
  if (listed === undefined) return undefined;
  return new InsertPlanner(statement, insert, { ...input, listed }).plan();
}

function listedColumns(insert: InsertStmt, table: CatalogTable): Column[] | undefined {
  if (insert.cols === undefined) return [...table.columns];
  const columns = insert.cols.map((node) => {
    const target = 'ResTarget' in node ? node.ResTarget : undefined;
    return target?.indirection === undefined ? table.columns.find(({ name }) => name === target?.name) : undefined;
  });
  const known = columns.filter((column) => column !== undefined);
  return known.length === columns.length && new Set(known).size === known.length ? known : undefined;
}

/** Types of which a number's text is the number's, digit by digit. */
const showsNumbers = /^(bigint|integer|smallint|text)$/;

const shardColumns: ReadonlySet<string> = new Set(['tableoid']);

interface Target extends InsertInput {
  /** Columns of the column list, or all of the table. */
  readonly listed: readonly Column[];
}

type AnyHole = TargetHole | ValueSlot;

class InsertPlanner {
  readonly #statement: Statement;
  readonly #insert: InsertStmt;
  readonly #target: Target;
  readonly #tokens: readonly Token[];
  readonly #nodes: readonly (readonly Node[])[];
  readonly #computed: ComputedValue[] = [];
  readonly #computedInOrder: number[] = [];
  readonly #defaults = new Map<Column, ComputedSlot>();
  /** Every value is a parameter, or a computed one. */
  #bareRows = true;
  readonly #onceCuts: Edit<ValueSlot>[] = [];
  readonly #moments: MomentParameter[] = [];
  /** What stands before the table's name in `schema.table.column`: a shard is known by its alias alone. */
  readonly #schemaCuts: readonly { readonly start: number; readonly end: number }[];

  /** RETURNING `*`, written out. */
  readonly #returnedColumns: readonly Edit<never>[];

  constructor(statement: Statement, insert: InsertStmt, target: Target) {
    this.#statement = statement;
    this.#insert = insert;
    this.#target = target;
    this.#tokens = scanTokens(statement.text);
    this.#nodes = rowNodes(insert);
    this.#returnedColumns = insert.returningClause === undefined ? [] : columnEdits(statement, [{ table: target.table, rangeVar: present(insert.relation, 'target') }], new NameCutter(statement)).edits;
    this.#schemaCuts = schemaCuts(statement, this.#tokens, (schema, table) =>
      insert.relation?.alias === undefined && schema === target.table.schema && table === target.table.name);
  }

  plan(): InsertPlan | undefined {
    const { table, snapshot, listed } = this.#target;
    const width = this.#nodes[0]?.length ?? 0;
    const given = this.#insert.cols === undefined ? listed.slice(0, width) : listed;
    if (given.length !== width || this.#nodes.some((row) => row.length !== width)) return undefined;
    this.#checkIdentity(given);
    this.#checkConflictTarget();
    const defaulted = table.columns.filter((column) => !given.includes(column));
    const added = defaulted.filter((column) => this.#mustCompute(column));
    const values = this.#valuesKeyword();
    const spans = this.#insert.selectStmt === undefined ? [] : valueRows(this.#tokens, values);
    if (this.#insert.selectStmt !== undefined && !this.#matchesRows(spans)) {
      throw refused('VALUES stands in parentheses.', 'Write it without them.');
    }
    const rows = this.#nodes.map((nodes, i) => this.#row({ nodes, span: spans[i], given, added }));
    const verbatim = rows.length === 1 && this.#computed.length === 0 && spans.length === 1;
    const tail = this.#tail(spans);
    return {
      kind: 'insert',
      table,
      placer: table.kind === 'distributed' ? placerOf(table, snapshot) : undefined,
      head: this.#head({ values, spans, given, added }),
      rows,
      tail,
      computed: this.#computed,
      computedInOrder: this.#computedInOrder,
      moments: this.#moments,
      rowByRow: !this.#isSingleShard && this.#insert.returningClause !== undefined && this.#insert.onConflictClause?.action === 'ONCONFLICT_NOTHING',
      verbatim,
      groups: verbatim && this.#insert.onConflictClause === undefined && !hasCall([this.#nodes[0], this.#insert.returningClause]),
      arrays: this.#arrays(rows, tail, { given, added }),
    };
  }

  /** Not with RETURNING: a prepared statement fails when the columns that it returns change. */
  #arrays(rows: readonly InsertRow[], tail: Template<AnyHole>, { given, added }: { given: readonly Column[]; added: readonly Column[] }): ArrayRows | undefined {
    // A parameter that stands in one place has the type of that place, its column's.
    if (!this.#bareRows || given.length + added.length === 0 || this.#insert.returningClause !== undefined || sharesParameters(this.#insert)) return undefined;
    return arrayRows(rows, tail, { head: { parts: this.#headParts().parts }, overriding: this.#overriding(), given, added });
  }

  get #isSingleShard(): boolean {
    const { table } = this.#target;
    return table.kind === 'distributed' && table.distributionColumn === undefined;
  }

  /** Whether all rows go into one shard. */
  get #isOneStatement(): boolean {
    return this.#nodes.length === 1 || this.#isSingleShard;
  }

  /** Behind the table's name, which may itself be `values` behind a schema. */
  #valuesKeyword(): number {
    const location = this.#insert.relation?.location ?? 0;
    const first = tokenAt(this.#tokens, this.#statement.source.index(location));
    return keywordAt(this.#tokens, 'VALUES', first + (this.#insert.relation?.schemaname === undefined ? 1 : 3));
  }

  /** The rows found in the text are those that the parser found. */
  #matchesRows(spans: readonly ValueRow[]): boolean {
    return spans.length === this.#nodes.length && spans.every((span, i) => span.items.length === this.#nodes[i]?.length);
  }

  /** GENERATED ALWAYS AS IDENTITY: the shard's column is a plain one, so what PostgreSQL checks must be checked here. */
  #checkIdentity(given: readonly Column[]): void {
    if (this.#insert.override === 'OVERRIDING_USER_VALUE') {
      throw refused('INSERT … OVERRIDING USER VALUE.', 'Leave the identity column out of the column list.');
    }
    if (this.#insert.override === 'OVERRIDING_SYSTEM_VALUE') return;
    for (const [i, column] of given.entries()) {
      if (column.identity !== 'always' || this.#nodes.every((row) => isDefault(row[i]))) continue;
      throw new ClusterError('invalidParameter', `cannot insert a non-DEFAULT value into column "${column.name}"`, {
        sqlState: '428C9',
        detail: `Column "${column.name}" is an identity column defined as GENERATED ALWAYS.`,
        hint: 'Use OVERRIDING SYSTEM VALUE to override.',
      });
    }
  }

  /** ON CONFLICT DO UPDATE may set the distribution column to the value it has, and to nothing else. */
  #checkConflictTarget(): void {
    const { table } = this.#target;
    refuseSequences([this.#insert.onConflictClause, this.#insert.returningClause]);
    refuseDefaults(this.#insert.onConflictClause?.targetList ?? [], table, table.kind === 'reference' ? 'copies' : this.#isOneStatement ? 'one_node' : 'shard_groups');
    if (table.kind !== 'distributed') {
      const conflict = this.#insert.onConflictClause;
      const items = [...(conflict?.targetList ?? []), ...(conflict?.whereClause === undefined ? [] : [conflict.whereClause])];
      if (hasVolatileCall(items, builtinRules)) {
        throw refused('ON CONFLICT DO UPDATE of a reference table calls a function that differs from node to node.', 'Pass its value as a parameter.');
      }
      return;
    }
    const { distributionColumn } = table;
    if (distributionColumn === undefined) return;
    for (const node of this.#insert.onConflictClause?.targetList ?? []) {
      const target = 'ResTarget' in node ? node.ResTarget : undefined;
      if (target?.name !== distributionColumn.name) continue;
      const value = target.val !== undefined && 'ColumnRef' in target.val ? nameParts(target.val.ColumnRef.fields) : [];
      if (value.join('.') === `excluded.${distributionColumn.name}`) continue;
      throw refused('ON CONFLICT DO UPDATE sets the distribution column.', `Leave column "${distributionColumn.name}" as it is.`);
    }
  }

  /** Whether a column left to its default needs a value from the coordinator database. */
  #mustCompute(column: Column): boolean {
    const { table } = this.#target;
    if (column.generated) return false;
    if (table.kind === 'distributed' && column === table.distributionColumn) return column.default !== undefined || this.#failMissing(column);
    if (column.default === undefined) return false;
    if (column.default.kind === 'sequence' || column.default.ofCoordinator === true) return true;
    if (table.kind === 'reference') return column.default.volatility !== 'immutable';
    return column.default.volatility === 'stable' && !this.#isOneStatement;
  }

  #failMissing(column: Column): never {
    throw distributionValueMissing(this.#target.table, column);
  }

  #row({ nodes, span, given, added }: { nodes: readonly Node[]; span: ValueRow | undefined; given: readonly Column[]; added: readonly Column[] }): InsertRow {
    const { table } = this.#target;
    if (nodes.length + added.length === 0) return { template: { parts: [] }, distribution: undefined };
    let distribution: InsertRow['distribution'];
    const computed: ComputedColumn[] = [];
    const parts: (string | ValueSlot)[] = ['('];
    const separate = (): void => {
      if (parts.length > 1) parts.push(', ');
    };
    for (const [i, node] of nodes.entries()) {
      separate();
      const column = at(given, i);
      const isKey = table.kind === 'distributed' && column === table.distributionColumn;
      const constant = isKey ? this.#constant(node, column) : undefined;
      const slot = constant === undefined ? this.#computedItem(node, column, { isKey, span: span?.items[i] }) : undefined;
      if (isKey) distribution = constant ?? slot;
      if (slot === undefined) {
        if (!('ParamRef' in node)) this.#bareRows = false;
        parts.push(...this.#itemParts(span, i));
      } else {
        computed.push({ slot, column, place: this.#isReadWithItsRow(column) ? i : undefined });
        parts.push(...slotParts(slot, column));
      }
    }
    for (const column of added) {
      separate();
      const slot = this.#computeDefault(column);
      if (table.kind === 'distributed' && column === table.distributionColumn) distribution = slot;
      computed.push({ slot, column, place: undefined });
      parts.push(...slotParts(slot, column));
    }
    parts.push(')');
    this.#computedInOrder.push(...computed.toSorted(byOrderOfUse).map(({ slot }) => slot.index));
    return { template: { parts }, distribution };
  }

  /** Of several rows PostgreSQL evaluates each as it is written, and then what is not; of a single one the columns in their order. */
  #isReadWithItsRow({ identity }: Column): boolean {
    return this.#nodes.length > 1 && (identity !== 'always' || this.#insert.override === 'OVERRIDING_SYSTEM_VALUE');
  }

  /** A slot when the item must be computed first: a sequence's DEFAULT, an expression for the distribution column, a subquery. */
  #computedItem(node: Node, column: Column, { isKey, span }: { isKey: boolean; span: ValueRow['items'][number] | undefined }): ComputedSlot | undefined {
    if (isDefault(node)) {
      if (isKey && column.default === undefined) this.#failMissing(column);
      return this.#mustCompute(column) ? this.#computeDefault(column) : undefined;
    }
    const { table } = this.#target;
    const subquery = hasSubquery(node);
    const once = (callsOnce(node) && (table.kind === 'reference' || !this.#isOneStatement)) || usesSequence(node);
    const variable = table.kind === 'reference' && (hasCall(node) || namesMoment(node, column));
    const moment = table.kind === 'reference' ? momentParameter(node, column) : undefined;
    if (moment !== undefined) this.#moments.push(moment);
    if (!isKey && !subquery && !once && !variable) return undefined;
    if (subquery && namedRelations(node).some(() => true)) {
      throw refused('A subquery stands in VALUES.', 'Run it as a statement of its own, and pass its result as a parameter.');
    }
    const { start, end } = present(span, 'value');
    return this.#compute({ kind: 'expression', sql: `CAST((${this.#typedText(start, end)}) AS ${assignableType(column)})`, nextOf: showsNumbers.test(column.type.sql) ? nextOf(node) : undefined });
  }

  /** A constant, or a parameter that the server reads as the column's type. */
  #constant(node: Node, column: Column): ConstantSource | undefined {
    const constant = constantOf(node, columnTypeName(column));
    const types = this.#target.parameterTypes;
    if (constant?.kind !== 'parameter' || types === undefined) return constant;
    return readsAlike(types[constant.number - 1], columnTypeName(column)) ? constant : undefined;
  }

  /** The caller's text with its parameters cast to the types that they have in the whole statement. */
  #typedText(start: number, end: number): string {
    return this.#textParts(start, end).map((part) => (typeof part === 'string' ? part : `$${part.kind === 'parameter' ? part.number : 0}`)).join('');
  }

  #compute(value: ComputedValue): ComputedSlot {
    this.#computed.push(value);
    return { kind: 'computed', index: this.#computed.length - 1 };
  }

  /** A default that does not change within a statement is computed once for all rows. */
  #computeDefault(column: Column): ComputedSlot {
    const known = this.#defaults.get(column);
    if (known !== undefined) return known;
    const slot = this.#compute(defaultValue(column));
    if (column.default?.kind === 'expression' && column.default.volatility !== 'volatile') this.#defaults.set(column, slot);
    return slot;
  }

  #itemParts(span: ValueRow | undefined, index: number): (string | ValueSlot)[] {
    const { start, end } = at(present(span, 'row').items, index);
    return [...this.#textParts(start, end)];
  }

  /** The caller's text between two indices, parameters as slots. */
  #textParts(start: number, end: number): (string | ValueSlot)[] {
    const edits: Edit<ValueSlot>[] = [];
    for (let i = tokenAt(this.#tokens, start); i < this.#tokens.length; i += 1) {
      const token = at(this.#tokens, i);
      if (token.start >= end) break;
      if (!/^\$\d+$/.test(token.text)) continue;
      edits.push({ start: token.start - start, end: token.end - start, parts: this.#parameterParts(Number(token.text.slice(1))) });
    }
    for (const cut of this.#schemaCuts) {
      if (cut.start >= start && cut.end <= end) edits.push({ start: cut.start - start, end: cut.end - start, parts: [] });
    }
    for (const cut of this.#returnedColumns) {
      if (cut.start >= start && cut.end <= end) edits.push({ ...cut, start: cut.start - start, end: cut.end - start });
    }
    for (const cut of this.#onceCuts) {
      if (cut.start >= start && cut.end <= end) edits.push({ ...cut, start: cut.start - start, end: cut.end - start });
    }
    return [...applyEdits(this.#statement.text.slice(start, end), edits).parts];
  }

  #parameterParts(number: number): (string | ValueSlot)[] {
    const slot: ValueSlot = { kind: 'parameter', number };
    const type = this.#target.parameterTypes?.[number - 1];
    return type === undefined ? [slot] : ['CAST(', slot, ` AS ${type})`];
  }

  #head({ values, spans, given, added }: { values: number; spans: readonly ValueRow[]; given: readonly Column[]; added: readonly Column[] }): Template<AnyHole> {
    const { parts, end } = this.#headParts();
    return { parts: [...parts, added.length === 0 && !keepsIdentity(this.#target.table) ? `${this.#unwrittenList(given)}${this.#writtenList(end, values, spans)}` : this.#extendedList([...given, ...added])] };
  }

  /** Up to the list of columns, and the token that it ends with. */
  #headParts(): { readonly parts: readonly (string | TargetHole)[]; readonly end: number } {
    const relation = present(this.#insert.relation, 'target');
    const first = tokenAt(this.#tokens, this.#statement.source.index(relation.location ?? 0));
    const last = first + (relation.catalogname === undefined ? (relation.schemaname === undefined ? 0 : 2) : 4);
    const alias = relation.alias === undefined ? [` AS ${quoteIdentifier(relation.relname ?? '')}`] : [];
    const aliasEnd = relation.alias === undefined ? last : last + 2;
    const before = this.#statement.text.slice(0, at(this.#tokens, first).start);
    const named = this.#statement.text.slice(at(this.#tokens, last).end, at(this.#tokens, aliasEnd).end);
    return { parts: [before, { kind: 'target' }, ...alias, named], end: aliasEnd };
  }

  /** The text from behind the table's name to the first row. */
  #writtenList(aliasEnd: number, values: number, spans: readonly ValueRow[]): string {
    const from = at(this.#tokens, aliasEnd).end;
    const first = spans[0];
    return first === undefined ? `${this.#statement.text.slice(from, at(this.#tokens, values).start)} VALUES ` : this.#statement.text.slice(from, first.start);
  }

  /** A shard may have its columns in another order than the table. */
  #unwrittenList(given: readonly Column[]): string {
    return this.#insert.cols !== undefined || given.length === 0 ? '' : listOf(this.#target, given.length);
  }

  #extendedList(columns: readonly Column[]): string {
    return ` (${columns.map(({ name }) => quoteIdentifier(name)).join(', ')})${this.#overriding()} VALUES `;
  }

  #overriding(): string {
    return this.#insert.override === 'OVERRIDING_SYSTEM_VALUE' || keepsIdentity(this.#target.table) ? ' OVERRIDING SYSTEM VALUE' : '';
  }

  #tail(spans: readonly ValueRow[]): Template<AnyHole> {
    const values = this.#valuesKeyword();
    const end = spans.at(-1)?.end ?? at(this.#tokens, values).end;
    this.#computeOnce(end);
    const parts: (string | AnyHole)[] = this.#textParts(end, this.#statement.text.length);
    const name = this.#insert.onConflictClause?.infer?.conname;
    return { parts: name === undefined ? parts : this.#withConstraint(end, name) };
  }

  /** `now()` and its like in ON CONFLICT and RETURNING: one value for all statements that the INSERT is split into. In RETURNING a column's name would change. */
  #computeOnce(from: number): void {
    if (this.#target.table.kind === 'distributed' && this.#isOneStatement) return;
    const returning = this.#tokens[keywordAt(this.#tokens, 'RETURNING', tokenAt(this.#tokens, from))]?.start ?? this.#statement.text.length;
    for (const { start, end, sql } of onceExpressions(this.#statement)) {
      if (start < from) continue;
      const type = onceTimeType(sql);
      if (type === undefined || start > returning) throw refused(`ON CONFLICT or RETURNING calls ${sql}, which differs from node to node.`, 'Pass its value as a parameter.');
      this.#onceCuts.push({ start, end, parts: ['CAST(', this.#compute({ kind: 'expression', sql }), ` AS ${type})`] });
    }
  }

  #withConstraint(start: number, name: string): (string | AnyHole)[] {
    const constraint = keywordAt(this.#tokens, 'CONSTRAINT', tokenAt(this.#tokens, start));
    const token = at(this.#tokens, constraint + 1);
    return [...this.#textParts(start, token.start), { kind: 'constraint', name }, ...this.#textParts(token.end, this.#statement.text.length)];
  }
}

/** Whether one of its copies, the shell, has a column that is GENERATED ALWAYS AS IDENTITY; those of shards are plain. Every copy gets the value that was made for all. */
export function keepsIdentity(table: CatalogTable): boolean {
  return table.kind === 'reference' && table.shellIsCopy && table.columns.some(({ identity }) => identity === 'always');
}

type ComputedSlot = ValueSlot & { readonly kind: 'computed' };

interface ComputedColumn {
  readonly slot: ComputedSlot;
  readonly column: Column;
  /** In its row, if that is evaluated as it is written. */
  readonly place: number | undefined;
}

function byOrderOfUse(a: ComputedColumn, b: ComputedColumn): number {
  if (a.place !== undefined || b.place !== undefined) return (a.place ?? Infinity) - (b.place ?? Infinity);
  return a.column.position - b.column.position;
}

/** Computed values are sent as text; the column's length is checked by the assignment, not cut by the cast. */
function slotParts(slot: ComputedSlot, column: Column): (string | ValueSlot)[] {
  return ['CAST(', slot, ` AS ${assignableType(column)})`];
}

export function defaultValue(column: Column): ComputedValue {
  const value = present(column.default, 'default');
  return value.kind === 'sequence' ? { kind: 'sequence', sequence: value.sequence } : { kind: 'expression', sql: `CAST((${value.sql}) AS ${assignableType(column)})` };
}

export function distributionValueMissing(table: CatalogTable, column: Column): ClusterError {
  return new ClusterError('distributionValueMissing', `null value in column "${column.name}" of relation "${table.name}" violates not-null constraint`, {
    detail: `Column "${column.name}" is the distribution column: it decides on which shard a row lies.`,
    schema: table.schema, table: table.name, column: column.name,
  });
}

export function columnTypeName(column: Column): string {
  return column.type.sql.replace(/\(.*\)/, '');
}

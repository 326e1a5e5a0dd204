import { at, present } from '../../base/assert.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { CatalogTable, DistributedTable, ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId, ShardId } from '../../catalog/ids.ts';
import { copyHolders, copyPartSql, copySql, copyWrite } from '../../catalog/reference-copies.ts';
import { shardGroupFor } from '../../catalog/shard-for-hash.ts';
import { shardName } from '../../catalog/shard-name.ts';
import type { ArrayRows } from '../../plan/insert/array-rows.ts';
import type { ComputedValue, InsertPlan, InsertRow, TargetHole, ValueSlot } from '../../plan/insert/insert-plan.ts';
import type { Placer } from '../../plan/prune.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { closeParameterGaps } from '../../sql/parameters.ts';
import type { ShardLoad } from '../../store/shard-load.ts';
import type { StatementScope } from '../statement-scope.ts';
import { FusedInserts } from './fused-inserts.ts';
import type { HotTexts } from './hot-texts.ts';
import { hashAssigned, placeValues } from './place-values.ts';
import { renderArrays } from './render-arrays.ts';
import { readMoments } from './read-moments.ts';
import type { WriteTask } from './run-spread.ts';
import type { SequenceUse, SequenceValues } from './sequence-blocks.ts';

export interface InsertServices {
  readonly sequences: SequenceValues;
  readonly hotTexts: HotTexts;
  readonly load: ShardLoad;
}

/** Places the rows; asks the coordinator database for sequence values and expressions, where there are any. */
export async function bindInsert(scope: StatementScope, plan: InsertPlan, values: readonly unknown[], services: InsertServices): Promise<readonly WriteTask[]> {
  const { table } = plan;
  if (table.kind === 'reference') {
    const computed = await computedValues(scope, plan, { values, services, leaves: false });
    const read = await readMoments(scope, plan, values);
    const rows = plan.rows.map((_, i) => i);
    const nodes = renderInsert(plan, rows, { values: read, computed, targetSql: (hole) => copyTargetSql(hole, table) });
    return copyHolders(scope.snapshot, table).map((node) => {
      const rendered = node === coordinatorNodeId ? renderInsert(plan, rows, { values: read, computed, targetSql: (hole) => copyTargetSql(hole, table, node) }) : nodes;
      return { node, ...rendered, sql: copyWrite(rendered.sql, node), slots: rows };
    });
  }
  const early = plan.rows.some(({ distribution }) => distribution?.kind === 'computed');
  const first = early ? await computedValues(scope, plan, { values, services, leaves: false }) : [];
  const ordinals = await placeRows(scope, { plan, table }, { values, computed: first });
  const batches = batchRows(plan, ordinals);
  for (const [ordinal, rows] of batches) services.load.note(at(present(plan.placer).group.shardGroups, ordinal).id, rows.length);
  const render = (computed: readonly (string | null)[], leaves: boolean): WriteTask[] | undefined =>
    renderBatches(plan, batches, { values, computed, table, leaves, hotTexts: services.hotTexts });
  const leaving = !early && batches.length === 1 && plan.arrays !== undefined;
  const tasks = leaving ? render(await computedValues(scope, plan, { values, services, leaves: true }), true) : undefined;
  return tasks ?? present(render(early ? first : await computedValues(scope, plan, { values, services, leaves: false }), false));
}

/** Ordinals with the rows that go there in one statement. */
function batchRows(plan: InsertPlan, ordinals: readonly number[]): [number, number[]][] {
  const byOrdinal = new Map<number, number[]>();
  for (const [i, ordinal] of ordinals.entries()) {
    const own = byOrdinal.get(ordinal);
    if (own === undefined) byOrdinal.set(ordinal, [i]);
    else own.push(i);
  }
  const batches = [...byOrdinal].sort(([a], [b]) => a - b);
  return plan.rowByRow ? batches.flatMap(([ordinal, rows]) => rows.map((row): [number, number[]] => [ordinal, [row]])) : batches;
}

/** The ordinal of a verbatim insert whose distribution value can be hashed here; undefined when the long way is needed. */
export function verbatimOrdinal(plan: InsertPlan, values: readonly unknown[]): number | undefined {
  const source = plan.rows[0]?.distribution;
  if (!plan.verbatim || plan.placer === undefined) return undefined;
  if (plan.placer.type === undefined) return 0;
  if (source === undefined || source.kind === 'computed') return undefined;
  const value = source.kind === 'literal' ? source.text : values[source.number - 1];
  if (value === null || value === undefined) return undefined;
  const hash = hashAssigned(plan.placer, value);
  return hash === undefined ? undefined : shardGroupFor(plan.placer.group, hash).ordinal;
}

export function verbatimText(plan: InsertPlan, table: CatalogTable, ordinal: number): string {
  const id = table.kind === 'distributed' ? at(table.shardIds, ordinal) : table.shardId;
  const parts: readonly (TargetHole | ValueSlot | string)[] = [...plan.head.parts, ...at(plan.rows, 0).template.parts, ...plan.tail.parts];
  return parts.map((part) => (typeof part === 'string' ? part : 'number' in part ? `$${part.number}` : targetSql(part, table, id))).join('');
}

interface Computing {
  readonly values: readonly unknown[];
  readonly services: InsertServices;
  /** Without the columns that the server fills by itself. */
  readonly leaves: boolean;
}

async function computedValues(scope: StatementScope, plan: InsertPlan, { values, services: { sequences }, leaves }: Computing): Promise<readonly (string | null)[]> {
  const { computed, arrays } = plan;
  const left = new Set(leaves && arrays !== undefined ? arrays.columns.flatMap(({ leavable }, i) => {
    const slot = leavable ? arrays.rows[0]?.[i] : undefined;
    return slot?.kind === 'computed' ? [slot.index] : [];
  }) : []);
  const results: (string | null)[] = computed.map(() => null);
  const bySequence = new Map<string, number[]>();
  const expressions: number[] = [];
  for (const i of plan.computedInOrder) {
    const value = at(computed, i);
    if (value.kind === 'sequence' && !left.has(i)) bySequence.set(value.sequence, [...(bySequence.get(value.sequence) ?? []), i]);
  }
  for (const [i, { kind }] of computed.entries()) if (kind === 'expression' && !left.has(i)) expressions.push(i);
  for (const [sequence, places] of bySequence) {
    const next = await sequences.next(sequence, places.length);
    for (const [i, place] of places.entries()) results[place] = at(next, i);
  }
  if (expressions.length > 0) await evaluate(scope, { plan, expressions, values }, results);
  noteUses(plan, results, sequences);
  return results;
}

interface Evaluating {
  readonly plan: InsertPlan;
  /** Places of them among the computed values. */
  readonly expressions: readonly number[];
  readonly values: readonly unknown[];
}

async function evaluate(scope: StatementScope, { plan: { computed }, expressions, values }: Evaluating, results: (string | null)[]): Promise<void> {
  const list = expressions.map((i) => {
    const value = at(computed, i);
    return value.kind === 'expression' ? value.sql : 'NULL';
  });
  const { text, numbers } = closeParameterGaps(`SELECT ${list.join(', ')}`);
  const { rows } = await scope.run(coordinatorNodeId, { text, values: numbers.map((number) => values[number - 1]) }, 'read');
  for (const [i, place] of expressions.entries()) results[place] = at(rows, 0)[i] ?? null;
}

/** The last value of each sequence, in the order in which PostgreSQL would have taken them. */
function noteUses({ computed, computedInOrder }: InsertPlan, results: readonly (string | null)[], sequences: SequenceValues): void {
  const last = new Map<string, SequenceUse>();
  for (const place of computedInOrder) {
    const use = useOf(at(computed, place), at(results, place));
    if (use === undefined) continue;
    const key = JSON.stringify([use.by, use.sequence]);
    last.delete(key);
    last.set(key, use);
  }
  if (last.size > 0) sequences.used([...last.values()]);
}

function useOf(computed: ComputedValue, value: string | null): SequenceUse | undefined {
  if (value === null) return undefined;
  if (computed.kind === 'sequence') return { by: 'cluster', sequence: computed.sequence, value };
  return computed.nextOf === undefined ? undefined : { by: 'server', sequence: computed.nextOf, value };
}

interface Known {
  readonly values: readonly unknown[];
  readonly computed: readonly (string | null)[];
}

interface Target {
  readonly plan: InsertPlan;
  readonly table: DistributedTable;
}

/** The ordinal of each row's shard group. Asks a server only about values that cannot be read here. */
function placeRows(scope: StatementScope, { plan, table }: Target, known: Known): Promise<readonly number[]> {
  if (plan.placer?.type === undefined) return Promise.resolve(plan.rows.map(() => 0));
  return placeValues(scope, { table, placer: present(plan.placer) }, plan.rows.map((row) => distributionValue(row, known)));
}

function distributionValue({ distribution }: InsertRow, { values, computed }: Known): unknown {
  const source = present(distribution, 'distribution value');
  return source.kind === 'literal' ? source.text : source.kind === 'parameter' ? values[source.number - 1] : computed[source.index];
}

interface Rendering extends Known {
  readonly targetSql: (hole: TargetHole) => string;
}

interface ShardRendering extends Known {
  readonly table: DistributedTable;
  /** Leaves out columns that the server fills by itself. */
  readonly leaves: boolean;
  readonly hotTexts: HotTexts;
}

/** Undefined when columns are to be left out, which VALUES cannot do, and the rows do not fit into arrays. */
function renderBatches(plan: InsertPlan, batches: readonly Batch[], rendering: ShardRendering): WriteTask[] | undefined {
  const { group } = present(plan.placer);
  const fused = fusedTasks(plan, batches, rendering);
  const tasks: WriteTask[] = [...fused.values()];
  for (const batch of batches) {
    const { node } = at(group.shardGroups, batch[0]);
    if (fused.has(node)) continue;
    const rendered = renderBatch(plan, batch, rendering);
    if (rendered === undefined) return undefined;
    tasks.push({ node, ...rendered, slots: batch[1] });
  }
  return tasks;
}

type Batch = readonly [ordinal: number, rows: readonly number[]];

/** One for each node that gets rows for many of its shards. */
function fusedTasks(plan: InsertPlan, batches: readonly Batch[], rendering: ShardRendering): ReadonlyMap<NodeId, WriteTask> {
  const tasks = new Map<NodeId, WriteTask>();
  if (plan.arrays === undefined || batches.length < 2) return tasks;
  const inserts = fusedInserts(plan.arrays, present(plan.placer), rendering.table);
  const rows = { byOrdinal: new Map(batches), valueOf: valueOf(rendering) };
  for (const node of inserts.nodes) {
    const insert = inserts.insertInto(node, rows);
    if (insert !== undefined) tasks.set(node, { node, ...insert, name: rendering.hotTexts.nameOf(insert.sql), counts: true });
  }
  return tasks;
}

/** Their texts are long, and the same for each run of a plan. */
const knownFused = new WeakMap<ArrayRows, FusedInserts>();

function fusedInserts(arrays: ArrayRows, { group }: Placer, table: DistributedTable): FusedInserts {
  const known = knownFused.get(arrays) ?? new FusedInserts(arrays, group.shardGroups.map(({ node }) => node), (ordinal) => (hole) => targetSql(hole, table, at(table.shardIds, ordinal)));
  knownFused.set(arrays, known);
  return known;
}

function renderBatch(plan: InsertPlan, [ordinal, rows]: Batch, rendering: ShardRendering): Pick<WriteTask, 'sql' | 'values' | 'name'> | undefined {
  const { table, leaves, hotTexts, ...known } = rendering;
  const suffix = at(table.shardIds, ordinal);
  const arrays = plan.arrays === undefined ? undefined : renderArrays(plan.arrays, { rows, leaves, targetSql: (hole) => targetSql(hole, table, suffix), valueOf: valueOf(known) });
  if (arrays !== undefined) return { ...arrays, name: hotTexts.nameOf(arrays.sql) };
  return leaves ? undefined : renderInsert(plan, rows, { ...known, targetSql: (hole) => targetSql(hole, table, suffix) });
}

function valueOf({ computed, values }: Known): (slot: ValueSlot) => unknown {
  return (slot) => (slot.kind === 'computed' ? computed[slot.index] : values[slot.number - 1]);
}

function renderInsert(plan: InsertPlan, rows: readonly number[], { values, computed, targetSql: nameOf }: Rendering): { sql: string; values: unknown[] } {
  const sent: unknown[] = [];
  const numbers = new Map<number, number>();
  const slot = (part: ValueSlot): string => {
    if (part.kind === 'computed') {
      sent.push(computed[part.index]);
      return `$${sent.length}`;
    }
    let number = numbers.get(part.number);
    if (number === undefined) {
      sent.push(values[part.number - 1]);
      number = sent.length;
      numbers.set(part.number, number);
    }
    return `$${number}`;
  };
  const render = (parts: readonly (string | TargetHole | ValueSlot)[]): string => {
    let text = '';
    for (const part of parts) {
      if (typeof part === 'string') text += part;
      else text += part.kind === 'target' || part.kind === 'constraint' ? nameOf(part) : slot(part);
    }
    return text;
  };
  const head = render(plan.head.parts);
  const body = rows.map((i) => render(at(plan.rows, i).template.parts)).join(', ');
  return { sql: `${head}${body}${render(plan.tail.parts)}`, values: sent };
}

function targetSql(hole: TargetHole | ValueSlot, table: CatalogTable, suffix: ShardId): string {
  // A constraint that the table does not have keeps the caller's name in the server's error.
  if (hole.kind === 'constraint') return quoteIdentifier(table.constraints.includes(hole.name) ? shardName(hole.name, suffix) : hole.name);
  return quoteQualified(table.schema, shardName(table.name, suffix));
}

function copyTargetSql(hole: TargetHole, table: ReferenceTable, holder?: NodeId): string {
  if (hole.kind === 'target') return copySql(table, holder);
  return table.constraints.includes(hole.name) ? copyPartSql(table, hole.name, holder) : quoteIdentifier(hole.name);
}

import { at, present } from '../base/assert.ts';
import { orAborted } from '../base/abort.ts';
import type { ResultTable } from '../analyze/result-table.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { copyHolders } from '../catalog/reference-copies.ts';
import { type FanOutMemory, fanOutMemory, fanOutTasks } from '../execute/fan-out-tasks.ts';
import { resultsIn } from '../execute/staged/node-statement.ts';
import type { Measured } from '../execute/staged/run-measurements.ts';
import { bindInsert } from '../execute/write/run-insert.ts';
import { bindTarget, partialValues, placesOf, RenderedTexts, targetOf } from '../plan/bind.ts';
import { mergeTree, type PlanNode, planText } from '../plan/explain/plan-tree.ts';
import { type FanOut, isStaged } from '../plan/fan-out.ts';
import { renderTemplate, type ShardTemplate } from '../plan/shard-template.ts';
import type { FirstValue, Stage, StageSource } from '../plan/staged/stage.ts';
import type { ModifyPlan, PrunableUse, SelectPlan, WritingParts, WrittenRows } from '../plan/statement-plan.ts';
import { bindLookup } from './bind-lookup.ts';
import { bindComputed } from './bind-computed.ts';
import { type MeasuredRun, measureRun } from './measure-run.ts';
import { PreparedPlan } from './planner.ts';
import type { RunContext } from './run-statement.ts';

/** A distributed plan as data and as text. */
export interface Explanation {
  readonly plan: PlanNode;
  readonly text: string;
}

export interface ExplainHow {
  /** The query runs, and what comes of it is counted: rows, bytes and time of each intermediate result and task. Its rows are dropped. */
  readonly analyze?: boolean | undefined;
  /** One node's own EXPLAIN below each task, and the estimates that the plan was chosen by. */
  readonly verbose?: boolean | undefined;
}

/** Describes how a statement would run with these values. Without `analyze`, nothing is run but what planning itself asks of the servers. */
export async function explainStatement(prepared: PreparedPlan, context: RunContext, values: readonly unknown[], how: ExplainHow = {}): Promise<Explanation> {
  if (prepared.plan.kind === 'computed') {
    const bound = await bindComputed(prepared.plan, values, context);
    return explainStatement(bound.prepared, context, bound.values, how);
  }
  const bound = await bindLookup(prepared, values, context);
  if (bound !== undefined) {
    const { plan: below } = await explainStatement(bound.prepared, context, bound.values, how);
    const plan = { kind: 'lookup', properties: { constraint: bound.lookup.name, columns: bound.lookup.columns }, inputs: [below] };
    return { plan, text: planText(plan) };
  }
  const verbose = how.verbose === true;
  const measured = how.analyze === true ? await measureRun(prepared, context, { values, explains: verbose }) : undefined;
  const tree = await treeOf(prepared, context, { values, verbose, measured });
  const plan = measured === undefined ? tree : { ...tree, properties: { ...tree.properties, ...totals(measured.total) } };
  return { plan, text: planText(plan) };
}

interface Explaining {
  readonly values: readonly unknown[];
  readonly verbose: boolean;
  readonly measured: MeasuredRun | undefined;
}

async function treeOf(prepared: PreparedPlan, context: RunContext, explaining: Explaining): Promise<PlanNode> {
  const { plan } = prepared;
  const { values } = explaining;
  switch (plan.kind) {
    case 'coordinator':
      return leaf('coordinator', { sql: plan.text });
    case 'utility':
      return leaf('utility_call', { function: plan.name });
    case 'materialize':
      return { ...leaf('materialize', { sql: shortened(plan.text) }), inputs: [await treeOf(new PreparedPlan(plan.query, context.scope.snapshot, plan.source), context, explaining)] };
    case 'made_by_query':
      return leaf('definition', { sql: shortened(plan.create) });
    case 'truncate':
      return leaf('truncate', { tables: plan.tables.map(({ name }) => name) });
    case 'definition':
      return leaf('definition', { sql: shortened(plan.text), tables: plan.tables.map(({ name }) => name) });
    case 'maintenance':
    case 'concurrent_index':
    case 'lock':
      return leaf(plan.kind, { sql: shortened(plan.text) });
    case 'computed':
    case 'explain':
      return leaf(plan.kind, { sql: shortened(plan.statement.text) });
    case 'insert': {
      const tasks = await bindInsert(context.scope, plan, values, context);
      return leaf('insert', { rows: plan.rows.length, ...taskProperties(context, tasks.map(({ node, sql }) => ({ node, sql }))) });
    }
    case 'queried_insert': {
      const values = plan.source.numbers.map((number) => explaining.values[number - 1]);
      return { ...leaf('insert_rows', { table: plan.table.name, lookups: plan.insert.plan.skips ?? [] }), inputs: [await treeOf(present(prepared.queried).source, context, { ...explaining, values })] };
    }
    case 'modify':
      return modifyTree(plan, { ...explaining, context, texts: present(prepared.texts), memoryOf: (fanOut) => prepared.memoryOf(fanOut) });
    case 'select':
      return selectTree(plan, { ...explaining, context, texts: present(prepared.texts), memoryOf: (fanOut) => prepared.memoryOf(fanOut) });
  }
}

interface SelectInput extends Explaining {
  readonly context: RunContext;
  readonly texts: RenderedTexts;
  readonly memoryOf: (fanOut: FanOut) => FanOutMemory;
}

async function selectTree(plan: SelectPlan, input: SelectInput): Promise<PlanNode> {
  const { context, values, texts, memoryOf } = input;
  const target = targetOf(plan, values);
  if (target.kind === 'one') {
    const task = { node: target.node, sql: texts.forUses(target.ordinals) };
    return { ...routed('router', { context, ...task, uses: plan.uses }), inputs: await tasksBelow(plan.whole, input, task) };
  }
  if (target.kind === 'any') return { ...leaf('any_node', { sql: texts.forOrdinal(0) }), inputs: await tasksBelow(plan.whole, input, undefined) };
  const fanOut = await orAborted(plan.fanOut(), context.scope.signal);
  if (input.measured !== undefined || isStaged(fanOut) || resultsIn(fanOut.shardQuery).size > 0) return stagedTree(plan, fanOut, input);
  const memory = memoryOf(fanOut);
  const { tasks, united } = await fanOutTasks(context.scope, { fanOut, uses: plan.uses, ordinals: target.ordinals, values }, memory, context.options);
  const properties = { rules: fanOut.rules, 'shard groups': `${target.ordinals.length} of ${groupsOf(plan.uses)}`, ...prunedBy(plan.uses), ...taskProperties(context, tasks) };
  const inputs = await tasksBelow(fanOut.shardQuery, input, tasks[0]);
  const together = united ? 'united_shard_groups' : memory.cost === 'lookup' ? 'fused_shard_queries' : 'shard_queries';
  return mergeTree(fanOut.merge, { kind: fanOut.locks === undefined ? together : 'locking_shard_queries', properties, inputs });
}

async function modifyTree(plan: ModifyPlan, input: SelectInput): Promise<PlanNode> {
  const { context, values, texts } = input;
  const name = plan.command.toLowerCase();
  const target = plan.routable ? bindTarget(plan.uses, values) : undefined;
  if (target?.kind === 'one') return routed(`${name}_router`, { context, node: target.node, sql: texts.forUses(target.ordinals), uses: plan.uses });
  const spread = await orAborted(plan.spread(), context.scope.signal);
  if ('parts' in spread) return partsTree(name, spread, input);
  const sql = (ordinal: number): string => renderTemplate(spread.template, () => ordinal);
  const stages = await Promise.all(spread.stages.map((stage) => stageTree(stage, spread.site, input)));
  const inputs = spread.rows === undefined ? stages : [...stages, await rowsTree(spread.rows, input)];
  if (spread.rows?.key !== undefined) return { kind: `${name}_rows`, properties: { 'first sql': shortened(sql(0)) }, inputs };
  if (spread.site === 'coordinator') return { kind: `${name}_locally`, properties: { sql: shortened(sql(0)) }, inputs };
  const tasks = plan.everywhere !== undefined
    ? copyHolders(context.scope.snapshot, plan.everywhere).map((node) => ({ node, sql: sql(0) }))
    : placesOf(spread.uses ?? plan.uses, values).map(({ node, ordinal }) => ({ node, sql: sql(ordinal) }));
  const following = spread.follow === undefined ? {} : { 'following sql': shortened(renderTemplate(spread.follow.template, () => 0)) };
  return { kind: plan.everywhere !== undefined ? `${name}_everywhere` : `${name}_by_shard`, properties: { ...taskProperties(context, tasks), ...following }, inputs };
}

function groupsOf(uses: readonly PrunableUse[]): number {
  return at(uses, 0).placer.group.shardGroups.length;
}

/** The query that is left, with the intermediate results below it. */
async function stagedTree(plan: SelectPlan, fanOut: FanOut, input: SelectInput): Promise<PlanNode> {
  const values = await Promise.all(fanOut.firstValues.map((value) => valueTree(value, input)));
  const stages = await Promise.all(fanOut.stages.map((stage) => stageTree(stage, fanOut.site, input)));
  const inputs = [...(await tasksBelow(fanOut.shardQuery, input, undefined)), ...values, ...stages];
  const uses = fanOut.uses ?? plan.uses;
  const target = fanOut.site === 'shards' ? bindTarget(uses, input.values) : undefined;
  const ordinals = target?.kind === 'many' ? target.ordinals : target?.kind === 'one' ? [...new Set(target.ordinals)] : [0];
  const sql = shortened(renderTemplate(fanOut.shardQuery, () => at(ordinals, 0)));
  if (target === undefined) return { kind: fanOut.site === 'node' ? 'any_node' : 'coordinator', properties: { rules: fanOut.rules, sql }, inputs };
  const properties = { rules: fanOut.rules, 'shard groups': `${ordinals.length} of ${groupsOf(uses)}`, [ordinals.length > 1 ? 'first sql' : 'sql']: sql };
  return mergeTree(fanOut.merge, { kind: 'shard_queries', properties, inputs });
}

async function valueTree({ number, exists, source }: FirstValue, input: SelectInput): Promise<PlanNode> {
  return { kind: exists ? 'existence' : 'value', properties: { parameter: `$${number}` }, inputs: [await sourceTree(source, input)] };
}

async function sourceTree(source: StageSource, input: SelectInput): Promise<PlanNode> {
  if (source.kind === 'coordinator') return leaf('coordinator', { sql: shortened(source.text) });
  return selectTree(source, { ...input, texts: new RenderedTexts(source.whole), memoryOf: fanOutMemory });
}

async function stageTree({ result, source, estimatedRows }: Stage, site: FanOut['site'], input: SelectInput): Promise<PlanNode> {
  const below = await sourceTree(source, input);
  const measured = input.measured?.measurements.results.get(result);
  return {
    kind: 'intermediate_result',
    properties: {
      name: result.name, of: result.label, columns: result.columns.map(({ name }) => name), for: destination(result, site),
      ...(estimatedRows === undefined || !(input.verbose || measured !== undefined) ? {} : { 'estimated rows': Math.round(estimatedRows) }),
      ...(measured === undefined ? {} : totals(measured)),
    },
    inputs: [below],
  };
}

function destination({ distribution, columns }: ResultTable, site: FanOut['site']): string {
  if (site === 'coordinator') return 'coordinator database';
  if (site === 'node') return 'one node';
  return distribution === undefined ? 'every node' : `nodes by hash of ${at(columns, distribution.column).name}`;
}

/** The writes of WITH in order, and then the rest. */
async function partsTree(name: string, { parts, main }: WritingParts, input: SelectInput): Promise<PlanNode> {
  const inputs: PlanNode[] = [];
  for (const plan of [...parts.map((part) => part.plan), main]) inputs.push(await partTree(plan, input));
  return { kind: `${name}_in_parts`, properties: { 'results': parts.map(({ result }) => result?.name ?? 'none') }, inputs };
}

function partTree(plan: WritingParts['main'], input: SelectInput): Promise<PlanNode> | PlanNode {
  switch (plan.kind) {
    case 'modify':
      return modifyTree(plan, { ...input, texts: new RenderedTexts(plan.whole) });
    case 'insert':
      return leaf('insert', { rows: plan.rows.length });
    case 'coordinator':
    case 'select':
      return sourceTree(plan, input);
  }
}

/** The query whose rows are written, and where they go. */
async function rowsTree({ result, source, key, supplies }: WrittenRows, input: SelectInput): Promise<PlanNode> {
  const properties = {
    name: result.name, columns: result.columns.map(({ name }) => name), ...(supplies.length === 0 ? {} : { supplied: supplies.map((value) => (value.kind === 'sequence' ? value.sequence : value.sql)) }),
    for: key === undefined ? 'where it is written' : key.position === undefined ? 'the shard' : `shards by hash of ${at(result.columns, key.position).name}`,
  };
  return { kind: 'rows', properties, inputs: [source.kind === 'write' ? await modifyTree(source.plan, { ...input, texts: new RenderedTexts(source.plan.whole) }) : await sourceTree(source, input)] };
}

interface PlannedTask {
  readonly node: NodeId;
  readonly sql: string;
  readonly values?: readonly unknown[] | undefined;
}

/** The tasks that ran, or `first` of those that would, with its node's own plan. None where only their number is asked for. */
async function tasksBelow(template: ShardTemplate, { context, values, verbose, measured }: SelectInput, first: PlannedTask | undefined): Promise<PlanNode[]> {
  if (measured !== undefined) {
    return measured.measurements.tasks(template).map(({ node, plan, ...task }) => leaf('task', { node: nodeName(context, node), ...totals(task), ...(plan === undefined ? {} : { plan }) }));
  }
  if (!verbose || first === undefined) return [];
  const { rows } = await context.scope.run(first.node, { text: `EXPLAIN (VERBOSE) ${first.sql}`, values: first.values ?? partialValues(template, values) }, 'read');
  return [leaf('task', { node: nodeName(context, first.node), plan: rows.map(([line]) => line ?? '') })];
}

function totals({ rows, bytes, ms }: Measured): PlanNode['properties'] {
  return { 'actual rows': rows, 'actual bytes': bytes, 'actual ms': Math.round(ms * 1_000) / 1_000 };
}

interface Routed {
  readonly context: RunContext;
  readonly node: NodeId;
  readonly sql: string;
  readonly uses: readonly PrunableUse[];
}

function routed(kind: string, { context, node, sql, uses }: Routed): PlanNode {
  return leaf(kind, { node: nodeName(context, node), ...prunedBy(uses), sql });
}

/** What of the session has a part in where it goes. */
function prunedBy(uses: readonly PrunableUse[]): PlanNode['properties'] {
  const reasons = [...new Set(uses.flatMap((use) => use.prunedBy ?? []))];
  return reasons.length === 0 ? {} : { 'pruned by': reasons };
}

function taskProperties(context: RunContext, tasks: readonly { readonly node: NodeId; readonly sql: string }[]): PlanNode['properties'] {
  const byNode = new Map<string, number>();
  for (const { node } of tasks) byNode.set(nodeName(context, node), (byNode.get(nodeName(context, node)) ?? 0) + 1);
  const first = tasks[0];
  return {
    tasks: [...byNode].map(([node, count]) => `${count} on ${node}`),
    ...(first === undefined ? {} : { [tasks.length > 1 ? 'first sql' : 'sql']: shortened(first.sql) }),
  };
}

const sqlCharactersMax = 300;

function shortened(sql: string): string {
  return sql.length <= sqlCharactersMax ? sql : `${sql.slice(0, sqlCharactersMax)} …`;
}

function nodeName({ scope }: RunContext, id: NodeId): string {
  if (id === coordinatorNodeId) return 'coordinator database';
  const node = scope.snapshot.nodes.find((candidate) => candidate.id === id);
  return node === undefined ? `node ${id}` : `${node.host}:${node.port}/${node.database}`;
}

function leaf(kind: string, properties: PlanNode['properties']): PlanNode {
  return { kind, properties, inputs: [] };
}

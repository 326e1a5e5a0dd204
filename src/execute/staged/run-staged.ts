import type { ResultTable } from '../../analyze/result-table.ts';
import { at, present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { ColocationGroup, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeQuery, RawRow } from '../../cluster/node-connection.ts';
import { bindTarget } from '../../plan/bind.ts';
import type { FanOut } from '../../plan/fan-out.ts';
import { shardSql, unitedSql } from '../../plan/shard-template.ts';
import type { FirstValue, Stage, StageSource } from '../../plan/staged/stage.ts';
import type { PrunableUse, SelectPlan } from '../../plan/statement-plan.ts';
import { closeParameterGaps } from '../../sql/parameters.ts';
import { withEvaluated } from '../evaluate.ts';
import { runMerge } from '../merge/run-merge.ts';
import { fanOutMemory } from '../fan-out-tasks.ts';
import { collectFanOut, type FanOutOptions } from '../run-fan-out.ts';
import { runResidual } from '../run-residual.ts';
import type { SteadyScope } from '../statement-scope.ts';
import { cursorRows } from './cursor-rows.ts';
import type { HeldResults } from './held-result.ts';
import { hashedNode } from './hashed-node.ts';
import { holdRows, settled } from './hold-rows.ts';
import { nodeStatement, type NodeStatementInput, resultsIn } from './node-statement.ts';
import type { RunMeasurements } from './run-measurements.ts';

type Batches = AsyncGenerator<readonly RawRow[]>;

export interface StagedCall {
  readonly fanOut: FanOut;
  /** Of the statement that `fanOut` is for; those of a statement made from it are its own. */
  readonly uses: readonly PrunableUse[];
  /** By parameter number, evaluated expressions behind the caller's. */
  readonly values: readonly unknown[];
}

/** What is done before the statement that is left. */
export type StagedWork = Pick<FanOut, 'stages' | 'site' | 'firstValues' | 'parameters' | 'evaluated'>;

/** Rows that go to one statement. */
export interface OwnRows {
  readonly result: ResultTable;
  readonly rows: readonly RawRow[];
}

export interface StagedOptions {
  readonly options: FanOutOptions;
  /** The node for statements that any node can answer. */
  readonly host: NodeId;
  readonly measurements?: RunMeasurements | undefined;
  /** Intermediate results that are there already. */
  readonly results?: HeldResults | undefined;
  /** Called when a part had many more bytes than the plan was chosen by. */
  readonly surprised?: ((part: string, bytes: number) => void) | undefined;
  /** Whether what it computes in the coordinator database may run code of the user's. */
  readonly runsCode?: (() => boolean | Promise<boolean>) | undefined;
}

/** So many times what was believed, and so many bytes at least, are a surprise: below, another plan would not be much better. */
const surpriseFactor = 8;
const surpriseBytes = 1_000_000;

/**
 * Runs a query in stages: each intermediate result is read in batches and held where it is needed, then the query that is left runs. All its statements
 * on one server are of one transaction, so that they see one snapshot there (in a transaction of the caller's, what its isolation level shows).
 */
export class StagedRun {
  readonly #results: HeldResults;

  constructor(
    private readonly scope: SteadyScope,
    private readonly how: StagedOptions,
  ) {
    this.#results = new Map(how.results);
  }

  /** The query's rows in batches. */
  async *rows({ fanOut, uses, values: given }: StagedCall): Batches {
    const values = await this.hold(fanOut, given);
    if (fanOut.site === 'shards') yield* this.#byShard({ fanOut, uses, values });
    else yield* this.#cursor({ template: fanOut.shardQuery, values, node: fanOut.site === 'node' ? this.how.host : coordinatorNodeId, shard: noShard });
  }

  /** Makes a statement's intermediate results; resolves to the values that it is run with then. */
  async hold(work: StagedWork, given: readonly unknown[]): Promise<readonly unknown[]> {
    const values = await this.#withFirstValues(work, await withEvaluated(this.scope, work, given));
    await this.#stages(work, values);
    return values;
  }

  /** The statement for one server, with the intermediate results that it reads; `own` are rows for this statement alone. */
  statement(input: NodeStatementInput, own: readonly OwnRows[] = []): Promise<NodeQuery> {
    const results: HeldResults = own.length === 0 ? this.#results : new Map([...this.#results, ...own.map(({ result, rows }) => [result, { kind: 'rows', rows }] as const)]);
    return nodeStatement(this.scope, results, input);
  }

  /** The values with those of queries behind them. */
  async #withFirstValues({ firstValues, parameters, evaluated }: StagedWork, given: readonly unknown[]): Promise<readonly unknown[]> {
    if (firstValues.length === 0) return given;
    const found = await settled(firstValues.map((value) => this.#firstValue(value, given)));
    const padded = Array.from({ length: parameters + evaluated.length }, (_, i) => given[i]);
    return [...padded, ...found];
  }

  async #firstValue({ source, exists }: FirstValue, values: readonly unknown[]): Promise<string | null> {
    const first: RawRow[] = [];
    for await (const batch of this.source(source, values)) {
      first.push(...batch.slice(0, 2));
      if (first.length > 1 || (exists && first.length > 0)) break;
    }
    if (exists) return String(first.length > 0);
    if (first.length > 1) throw new ClusterError('cardinalityViolation', 'more than one row returned by a subquery used as an expression');
    return first[0]?.[0] ?? null;
  }

  /** Each as soon as what it reads is there; all of them have ended when this settles. */
  async #stages({ stages, site }: StagedWork, values: readonly unknown[]): Promise<void> {
    const held = new Map<ResultTable, Promise<void>>();
    for (const stage of stages) {
      const needed = [...readBy(stage.source)].map((result) => held.get(result) ?? Promise.resolve());
      held.set(stage.result, Promise.all(needed).then(() => this.#stage(stage, site, values)));
    }
    await settled([...held.values()]);
  }

  async #stage({ result, source, belief }: Stage, site: FanOut['site'], values: readonly unknown[]): Promise<void> {
    const nodes = this.scope.snapshot.nodes.map(({ id }) => id);
    const targets = site === 'shards' ? nodes : [site === 'node' ? this.how.host : coordinatorNodeId];
    const { columns, lookups, sampled, label, distribution } = result;
    const nodeOf = distribution === undefined ? undefined : hashedNode(distribution, this.scope.snapshot);
    const rows = this.source(source, values);
    const request = { columns, lookups, sampled, label, targets, nodeOf, limits: this.how.options, onSize: (bytes: number) => this.#compare(belief, bytes) };
    this.#results.set(result, await holdRows(this.scope, request, this.how.measurements?.result(result, rows) ?? rows));
  }

  #compare(belief: Stage['belief'], bytes: number): void {
    if (belief !== undefined && bytes > Math.max(surpriseBytes, belief.bytes * surpriseFactor)) this.how.surprised?.(belief.part, bytes);
  }

  /** The rows of a planned query, or of one that the coordinator database answers. */
  async *source(source: StageSource, values: readonly unknown[]): Batches {
    if (source.kind === 'select') {
      yield* this.select(source, values);
      return;
    }
    const { text, numbers } = closeParameterGaps(source.text);
    const connection = await this.scope.join(coordinatorNodeId);
    yield* cursorRows(connection, { text, values: numbers.map((number) => values[number - 1]) }, this.#cursorOptions());
  }

  /** A query's rows, wherever they are. */
  async *select(plan: SelectPlan, values: readonly unknown[]): Batches {
    const target = plan.routable ? bindTarget(plan.uses, values) : undefined;
    if (target?.kind === 'one') {
      yield* this.#cursor({ template: plan.whole, values, node: target.node, shard: (table, use) => shardSql(table, at(target.ordinals, use)) });
    } else if (target?.kind === 'any') {
      yield* this.#cursor({ template: plan.whole, values, node: this.how.host, shard: noShard });
    } else {
      yield* this.rows({ fanOut: await plan.fanOut(), uses: plan.uses, values });
    }
  }

  /** Each shard group's answer, merged. Rows come over one connection per node, in turn. */
  async *#byShard({ fanOut, uses, values }: StagedCall): Batches {
    const own = fanOut.uses ?? uses;
    const target = bindTarget(own, values);
    const { group } = at(own, 0).placer;
    const ordinals = target.kind === 'one' ? [...new Set(target.ordinals)] : target.kind === 'many' ? target.ordinals : [0];
    if (fanOut.locks !== undefined) {
      yield await collectFanOut(this.scope, { fanOut, uses: own, ordinals, values }, fanOutMemory(fanOut), this.how.options);
      return;
    }
    const units = fanOut.unit === 'node' ? [...byNode(group, ordinals).values()] : ordinals.map((ordinal) => [ordinal]);
    const streams = units.map((unit) => this.#cursor({
      template: fanOut.shardQuery, values, node: at(group.shardGroups, at(unit, 0)).node, shard: (table) => unitSql(table, unit),
    }));
    yield* runMerge(fanOut.merge, {
      streams, values,
      residual: (residual, rows) => runResidual(this.scope, residual, { rows, values, limits: this.how.options }),
    });
  }

  async *#cursor(input: NodeStatementInput): Batches {
    const statement = await nodeStatement(this.scope, this.#results, input);
    const connection = await this.scope.join(input.node);
    const rows = (): Batches => cursorRows(connection, statement, this.#cursorOptions());
    yield* this.how.measurements?.task(input.template, { connection, query: statement }, rows) ?? rows();
  }

  #cursorOptions(): Parameters<typeof cursorRows>[2] {
    return { name: this.scope.uniqueName(), signal: this.scope.signal, onNotice: this.scope.onNotice, batchRows: this.how.options.batchRows };
  }
}

function readBy(source: StageSource): ReadonlySet<ResultTable> {
  return source.kind === 'select' ? resultsIn(source.whole) : new Set();
}

function byNode(group: ColocationGroup, ordinals: readonly number[]): Map<NodeId, number[]> {
  const found = new Map<NodeId, number[]>();
  for (const ordinal of ordinals) {
    const { node } = at(group.shardGroups, ordinal);
    found.set(node, [...(found.get(node) ?? []), ordinal]);
  }
  return found;
}

function unitSql(table: DistributedTable, ordinals: readonly number[]): string {
  const [only] = ordinals;
  return ordinals.length === 1 && only !== undefined ? shardSql(table, only) : unitedSql(table, ordinals);
}

function noShard(): string {
  return present<string>(undefined, 'shard group');
}

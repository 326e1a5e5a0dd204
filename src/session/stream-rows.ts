import type { FieldDescriptor, RawRow } from '../cluster/node-connection.ts';
import { rowParser } from '../cluster/query-result.ts';
import { fieldsOf, withTablesOf } from '../execute/fields.ts';
import { HeldConnections } from '../execute/held-connections.ts';
import { streamLocalTables } from '../execute/read-local-tables.ts';
import { watchedSteps } from '../execute/watch-shells.ts';
import type { ResultOptions, StatementScope } from '../execute/statement-scope.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { present } from '../base/assert.ts';
import { orAborted } from '../base/abort.ts';
import { targetOf } from '../plan/bind.ts';
import { fanOutRows } from './fan-out-rows.ts';
import { bindLookup } from './bind-lookup.ts';
import type { PreparedPlan } from './planner.ts';
import { anyNode, textForAny, groupOf, refuseValues, type RunContext, runStatement, watching } from './run-statement.ts';

export interface StreamInput extends ResultOptions {
  readonly values: readonly unknown[];
  readonly batchRows?: number | undefined;
  /** Told of the columns before the first batch, which may be none. */
  readonly onFields?: ((fields: readonly FieldDescriptor[]) => void) | undefined;
}

/** The rows of a statement in batches, parsed; nothing is read ahead of the consumer but what is on the wire. */
export async function* streamStatement(prepared: PreparedPlan, given: RunContext, input: StreamInput): AsyncGenerator<readonly unknown[]> {
  const { plan } = prepared;
  const context = watching(prepared, given);
  const { scope, objects, load } = context;
  if (prepared.parameters !== undefined && prepared.parameters !== input.values.length) await refuseValues(prepared, input.values, { scope, name: undefined });
  const bound = prepared.lookedUp === undefined ? undefined : await bindLookup(prepared, input.values, context);
  if (bound !== undefined) {
    yield* streamStatement(bound.prepared, context, { ...input, values: bound.values });
    return;
  }
  if (plan.kind === 'coordinator') {
    const effect = plan.effect === 'read' ? 'read' : 'write';
    const runsCode = await context.runsCode(prepared, scope);
    // Statements that return no rows, or end transactions themselves, are none to stream.
    if (runsCode && !('SelectStmt' in prepared.statement.node)) yield* asOne(prepared, context, input);
    else yield* streamNode(scope, { node: coordinatorNodeId, text: plan.text, values: input.values, effect, readsLocalTables: prepared.readsLocalTables, runsCode }, input);
    return;
  }
  if (plan.kind !== 'select') {
    yield* asOne(prepared, context, input);
    return;
  }
  const target = targetOf(plan, input.values);
  if (target.kind !== 'many') {
    const texts = present(prepared.texts);
    const node = target.kind === 'one' ? target.node : anyNode(plan, context);
    const text = target.kind === 'one' ? texts.forUses(target.ordinals) : textForAny(node, plan, texts);
    const logical = (fields: readonly FieldDescriptor[]): Promise<readonly FieldDescriptor[]> => objects.fields(fields, { node, snapshot: scope.snapshot, tables: plan.tables }).then((own) => withTablesOf(own, plan.columns));
    const group = target.kind === 'one' ? groupOf(plan.uses, target.ordinals) : undefined;
    const batches = streamNode(scope, { node, text, values: input.values, effect: plan.locks ? 'write' : 'read', readsLocalTables: node === coordinatorNodeId, logical }, input);
    yield* counted(batches, (rows) => group !== undefined && load.note(group, rows));
    return;
  }
  const fanOut = await orAborted(plan.fanOut(), scope.signal);
  const options = { ...context.options, batchRows: input.batchRows ?? context.options.batchRows };
  const batches = fanOutRows(prepared, context, { plan, fanOut, ordinals: target.ordinals, values: input.values }, options);
  const groups = plan.uses[0]?.placer.group.shardGroups ?? [];
  yield* counted(parsed(batches, fieldsOf(plan.columns ?? fanOut.columns), input), (rows) => load.noteEach(groups, target.ordinals, rows));
}

async function* asOne(prepared: PreparedPlan, context: RunContext, input: StreamInput): AsyncGenerator<readonly unknown[]> {
  const { fields, rows } = await runStatement(prepared, input.values, context, input);
  input.onFields?.(fields);
  yield rows;
}

/** Tells at the end, however it comes, how many rows there were. */
async function* counted(batches: AsyncIterable<readonly unknown[]>, note: (rows: number) => void): AsyncGenerator<readonly unknown[]> {
  let rows = 0;
  try {
    for await (const batch of batches) {
      rows += batch.length;
      yield batch;
    }
  } finally {
    note(rows);
  }
}

interface NodeStatement {
  readonly node: typeof coordinatorNodeId;
  readonly text: string;
  readonly values: readonly unknown[];
  readonly effect: 'read' | 'write';
  /** What code has read is known at its end. */
  readonly runsCode?: boolean;
  readonly readsLocalTables?: boolean;
  /** The fields as the coordinator database would have them. */
  readonly logical?: (fields: readonly FieldDescriptor[]) => Promise<readonly FieldDescriptor[]>;
}

async function* streamNode(scope: StatementScope, { node, text, values, effect, readsLocalTables, runsCode, logical }: NodeStatement, input: StreamInput): AsyncGenerator<readonly unknown[]> {
  const held = new HeldConnections(scope);
  try {
    const connection = await held.take(node, effect);
    const rows = async function* (): AsyncGenerator<readonly unknown[]> {
      const stream = connection.stream({ text, values }, { signal: scope.signal, onNotice: scope.onNotice, ...(input.batchRows === undefined ? {} : { batchRows: input.batchRows }) });
      const fields = await stream.fields;
      yield* parsed(readsLocalTables === true ? streamLocalTables(scope, stream) : stream, logical === undefined ? fields : await logical(fields), input);
    };
    yield* runsCode === true ? watchedSteps(scope, connection, rows) : rows();
  } finally {
    await held.release();
  }
}

async function* parsed(batches: AsyncIterable<readonly RawRow[]>, fields: readonly FieldDescriptor[], options: StreamInput): AsyncGenerator<readonly unknown[]> {
  options.onFields?.(fields);
  const parse = rowParser(fields, options);
  for await (const batch of batches) yield batch.map(parse);
}

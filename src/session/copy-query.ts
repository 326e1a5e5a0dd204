import { at, present } from '../base/assert.ts';
import { orAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import { textTypes } from '../cluster/query-result.ts';
import type { CopyStatement } from '../execute/copy/copy-statement.ts';
import { copyEncoder } from '../execute/copy/encode-copy.ts';
import type { CopyOutPart } from '../execute/copy/sharded-copy-out.ts';
import { fanOutTasks } from '../execute/fan-out-tasks.ts';
import { targetOf } from '../plan/bind.ts';
import { isStaged } from '../plan/fan-out.ts';
import type { Statement } from '../sql/parse.ts';
import { parseOne } from '../sql/parse.ts';
import { afterGroup, scanTokens } from '../sql/scan.ts';
import { fanOutRows } from './fan-out-rows.ts';
import type { PreparedPlan } from './planner.ts';
import { mayReadOnReplicas } from './routed-reads.ts';
import type { Routing } from './run-routed.ts';
import { type RunContext, runStatement, watching } from './run-statement.ts';

/** The query in `COPY (query) TO`, as a statement of its own. */
export function copiedQuery(statement: Statement): Statement {
  const tokens = scanTokens(statement.text);
  const open = tokens.findIndex(({ text }) => text === '(');
  const close = afterGroup(tokens, open) - 1;
  return parseOne(statement.text.slice(at(tokens, open).end, at(tokens, close).start));
}

/** How the rows of a copied query come: from servers that write them as COPY does, or merged here and then to be written. */
export type CopiedRows =
  | { readonly kind: 'coordinator' }
  | { readonly kind: 'parts'; readonly parts: readonly CopyOutPart[] }
  | { readonly kind: 'merged'; readonly chunks: AsyncIterable<Uint8Array> };

/** A plan, and what it runs in: by the catalog that it was made by. */
export interface PlannedQuery {
  readonly prepared: PreparedPlan;
  readonly context: RunContext;
}

/** The query of a COPY in a context by its plan: where it may read elsewhere than on primaries, it does. */
export function plannedCopy(prepared: PreparedPlan, contextOf: (routing: Routing | undefined) => RunContext, routing: Routing): PlannedQuery {
  return { prepared, context: contextOf(mayReadOnReplicas(prepared.plan) ? routing : undefined) };
}

export async function copiedRows(copy: CopyStatement, { prepared, context: given }: PlannedQuery): Promise<CopiedRows> {
  const context = watching(prepared, given);
  const { plan } = prepared;
  if (plan.kind === 'coordinator') return { kind: 'coordinator' };
  if (plan.kind === 'computed') {
    refuseBinary(copy);
    const { rows, fields } = await runStatement(prepared, [], context, { rowMode: 'array', types: textTypes });
    return { kind: 'merged', chunks: encoded(copy, fields.map(({ name }) => name), [rows as readonly RawRow[]]) };
  }
  if (plan.kind !== 'select') {
    throw new ClusterError('unsupportedQuery', 'COPY of a write to distributed tables is not supported', { hint: 'Run the write with RETURNING.' });
  }
  const target = targetOf(plan, []);
  const part = (node: NodeId, sql: string): CopyOutPart => ({ node, source: `(${sql})` });
  if (target.kind === 'one') return { kind: 'parts', parts: [part(target.node, present(prepared.texts).forUses(target.ordinals))] };
  if (target.kind === 'any') return { kind: 'parts', parts: [part(context.nextNode(), present(prepared.texts).forOrdinal(0))] };
  const fanOut = await orAborted(plan.fanOut(), context.scope.signal);
  const { ordinals } = target;
  if (fanOut.merge.kind === 'gather' && fanOut.locks === undefined && fanOut.evaluated.length === 0 && !isStaged(fanOut)) {
    const { tasks } = await fanOutTasks(context.scope, { fanOut, uses: plan.uses, ordinals, values: [] }, prepared.memoryOf(fanOut), context.options);
    return { kind: 'parts', parts: tasks.map(({ node, sql }) => part(node, sql)) };
  }
  refuseBinary(copy);
  return { kind: 'merged', chunks: encoded(copy, fanOut.columns.map(({ name }) => name), fanOutRows(prepared, context, { plan, fanOut, ordinals, values: [] })) };
}

function refuseBinary({ options }: CopyStatement): void {
  if (options.format !== 'binary') return;
  throw new ClusterError('unsupportedQuery', 'a query whose rows are merged cannot be copied in binary format', { hint: 'Use the text or CSV format.' });
}

async function* encoded(copy: CopyStatement, columns: readonly string[], batches: AsyncIterable<readonly RawRow[]> | Iterable<readonly RawRow[]>): AsyncGenerator<Uint8Array> {
  const encoder = copyEncoder(copy.options, columns);
  const header = encoder.header();
  if (header !== '') yield Buffer.from(header);
  for await (const rows of batches) {
    yield Buffer.from(rows.map((row) => encoder.row(row)).join(''));
  }
}

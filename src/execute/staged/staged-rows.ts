import { ClusterError, sqlStateOf } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import { bindTarget } from '../../plan/bind.ts';
import type { SelectPlan } from '../../plan/statement-plan.ts';
import { checkLocalTables, streamLocalTables } from '../read-local-tables.ts';
import type { StatementScope, SteadyScope } from '../statement-scope.ts';
import { unwatched, watchedInTransaction } from '../watch-shells.ts';
import { type StagedCall, type StagedOptions, StagedRun } from './run-staged.ts';

type Batches = AsyncGenerator<readonly RawRow[]>;

/** What a query is asked for again may cost no more than this, for each table. */
const wholeTableBytesMax = 64 * 1024 * 1024;

/**
 * The rows of a query in stages, in a scope that is opened for it. A part that is run first may fail where one PostgreSQL would not have come to it: a
 * subquery with two rows for a row that is not there. So what fails before its first row is asked for again, over whole tables on one server, and its rows or
 * its error are the answer. Tables too large for that leave the first error.
 */
export async function* stagedRows(scope: StatementScope, call: StagedCall, how: StagedOptions): Batches {
  const { overWholeTables } = call.fanOut;
  if (overWholeTables === undefined) {
    yield* inStages(scope, call, how);
    return;
  }
  const attempt = await scope.undoable();
  let pending = true;
  let failure: unknown;
  let unkept: { readonly error: unknown } | undefined;
  try {
    for await (const batch of inStages(scope, call, how)) {
      if (pending) {
        pending = false;
        // Another server may have failed meanwhile: then its statement says why, and this only that it did.
        unkept = await attempt.keep().then(() => undefined, (error: unknown) => ({ error }));
      }
      if (unkept === undefined) yield batch;
    }
    if (unkept !== undefined) throw unkept.error;
    if (pending) {
      pending = false;
      await attempt.keep();
    }
    return;
  } catch (error) {
    if (!pending || !dependsOnRows(error)) throw error;
    failure = error;
  }
  await attempt.undo();
  try {
    yield* inStages(scope, { ...call, fanOut: await overWholeTables() }, withinBytes(how, wholeTableBytesMax));
  } catch (error) {
    throw error instanceof ClusterError && (error.id === 'resultTooLarge' || error.id === 'unsupportedQuery') ? failure : error;
  }
}

/** The rows of any query, each statement's over the one connection of its server. */
export async function* selectedRows(scope: StatementScope, { plan, values }: { readonly plan: SelectPlan; readonly values: readonly unknown[] }, how: StagedOptions): Batches {
  if (plan.routable && bindTarget(plan.uses, values).kind !== 'many') {
    const batches = steadily(scope, (steady) => new StagedRun(steady, how).select(plan, values));
    yield* how.host === coordinatorNodeId ? streamLocalTables(scope, batches) : batches;
  }
  else yield* stagedRows(scope, { fanOut: await plan.fanOut(), uses: plan.uses, values }, how);
}

/** Local tables must still be local when they have been read: that is checked outside the snapshot, and before its locks go. */
function inStages(scope: StatementScope, call: StagedCall, how: StagedOptions): Batches {
  return steadily(scope, async function* (steady) {
    // Always in the same order, and before the coordinator database: so no two statements wait for each other's connections.
    if (!scope.inTransaction) for (const { id } of scope.snapshot.nodes) await steady.join(id);
    const watched = (await how.runsCode?.()) === true ? await steady.join(coordinatorNodeId) : undefined;
    const rows = (): Batches => new StagedRun(watched === undefined ? steady : unwatched(steady), how).rows(call);
    yield* watched === undefined ? rows() : watchedInTransaction(watched, scope.onNotice, rows);
    if (call.fanOut.readsLocalTables) await checkLocalTables(scope);
    // What was taken of sequences is in the log for certain with a commit alone: a server that comes back from a crash must not give it again.
    if (call.fanOut.takesValues === true) await steady.keep();
  });
}

async function* steadily(scope: StatementScope, rows: (steady: SteadyScope) => Batches): Batches {
  const steady = scope.steady();
  try {
    yield* rows(steady);
  } finally {
    await steady.end();
  }
}

/** Errors of evaluating expressions: of data, of the number of rows, and those that functions raise. */
function dependsOnRows(error: unknown): boolean {
  return /^(21|22|2F|38|39|P0)/.test(sqlStateOf(error) ?? '');
}

function withinBytes(how: StagedOptions, bytes: number): StagedOptions {
  return { ...how, options: { ...how.options, maxIntermediateBytes: Math.min(how.options.maxIntermediateBytes, bytes) } };
}

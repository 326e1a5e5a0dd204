import type { QueryResult } from 'pg';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection, ParsedQuery } from '../cluster/node-connection.ts';
import type { MadeByQueryPlan, MaterializePlan } from '../plan/statement-plan.ts';
import { bumpVersion } from '../store/catalog-changes.ts';
import { checkLocalTables } from './read-local-tables.ts';
import { HeldTable } from './staged/hold-rows.ts';
import { StagedRun, type StagedOptions } from './staged/run-staged.ts';
import { selectedRows } from './staged/staged-rows.ts';
import type { StatementScope, SteadyScope } from './statement-scope.ts';
import { watchedWork } from './watch-shells.ts';

interface Filling {
  readonly plan: MaterializePlan;
  readonly how: Omit<StagedOptions, 'runsCode'>;
  readonly runsCode: () => boolean | Promise<boolean>;
}

/**
 * Brings the rows of the query of a materialized view, or of CREATE TABLE AS, to the coordinator database and runs the statement that takes them in, all in one transaction there. Rows pass in
 * batches. Two processes that fill the same view do so one after the other, and the second sees what the first has done. Where it `runsCode` in the coordinator database, that is watched as a whole.
 */
export async function fillRelation(scope: StatementScope, query: ParsedQuery, { plan, how, runsCode }: Filling): Promise<QueryResult> {
  const steady = scope.steady();
  try {
    if (!scope.inTransaction) for (const { id } of scope.snapshot.nodes) await steady.join(id);
    const coordinator = await steady.atomically((transaction, options) => transaction.join(coordinatorNodeId, 'write', options));
    const { fill, created } = plan;
    // An advisory lock would be asked for by a query, whose snapshot, older than the wait, would be the transaction's.
    await coordinator.query({ text: `LOCK TABLE ${lockTable(fill)} IN SHARE ROW EXCLUSIVE MODE`, simple: true }, { signal: scope.signal });
    if (!scope.inTransaction) await keepReadOnly(coordinator);
    const { signal, onNotice } = scope;
    const fillIt = async (): Promise<QueryResult> => {
      if (!(await isThere(coordinator, created))) await takeIn(steady, plan, how);
      return coordinator.queryParsed(query, { signal, onNotice });
    };
    const result = await ((await runsCode()) ? watchedWork(coordinator, { signal, onNotice }, fillIt) : fillIt());
    await coordinator.query({ text: `DROP TABLE IF EXISTS pg_temp.${fill}`, simple: true });
    if (created?.isView === true) await bumpVersion({ coordinator, signal: scope.signal }, []);
    await steady.keep();
    return result;
  } finally {
    await steady.end();
  }
}

/** One of sixteen, by the last hexadecimal digit: fills of different relations rarely wait for each other. */
function lockTable(fill: string): string {
  return `shardwright.filling_${fill.slice(-1)}`;
}

/** The transaction is one of ours, and may write; a session whose transactions may not is told so by the server. */
async function keepReadOnly(coordinator: NodeConnection): Promise<void> {
  const { rows } = await coordinator.query({ text: `SELECT pg_catalog.current_setting('default_transaction_read_only')` });
  if (rows[0]?.[0] === 'on') throw new ClusterError('unsupportedDdl', 'cannot create or fill a relation in a read-only transaction', { sqlState: '25006' });
}

/** Whether the relation that a statement makes unless there is one is there. */
export async function isThere(coordinator: NodeConnection, created: MadeByQueryPlan['created'] | undefined): Promise<boolean> {
  if (created?.ifNotExists !== true) return false;
  const { name, isQualified } = created;
  const place = isQualified ? '$1' : `pg_catalog.quote_ident(pg_catalog.current_schema()) || '.' || $1`;
  const { rows } = await coordinator.query({ text: `SELECT pg_catalog.to_regclass(${place}) IS NOT NULL`, values: [name] });
  return rows[0]?.[0] === 't';
}

async function takeIn(steady: SteadyScope, { query, columns, fill }: MaterializePlan, how: StagedOptions): Promise<void> {
  const source = query.kind === 'select' || query.kind === 'coordinator' ? query : undefined;
  if (source === undefined) throw new ClusterError('unsupportedDdl', 'materialized views must not use data-modifying statements in WITH');
  const request = { columns: columns.map(({ name, typeSql, collation }) => ({ name, typeSql, collation: collation?.sql })), lookups: [], targets: [coordinatorNodeId], nodeOf: undefined };
  const table = await HeldTable.create(steady, request, fill);
  const rows = source.kind === 'select' ? selectedRows(steady, { plan: source, values: [] }, how) : new StagedRun(steady, how).source(source, []);
  for await (const batch of rows) await table.append(batch);
  await table.sendWaiting();
  if (source.kind === 'coordinator') await checkLocalTables(steady);
}

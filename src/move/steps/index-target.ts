import { allOrAbort } from '../../base/abort.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { endOtherUsers } from '../drop-objects.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import type { MovedTable } from '../moved-tables.ts';
import { renderTarget } from '../render-target.ts';
import { unchangedGroup } from '../unchanged-group.ts';
import { withConnection } from '../with-connection.ts';
import { completedTable } from './create.ts';

/** What is best made when the rows are there: keys, indexes, comments; then statistics. Each table in one transaction, which also says that it is done. */
export async function indexTarget(context: MoveContext): Promise<void> {
  const group = await unchangedGroup(context);
  const { staging } = namesOf(context);
  await endOtherUsers(context.pools.get(context.job.target), group.tables.map(({ name }) => quoteQualified(staging, name)), context.signal);
  await allOrAbort(context.signal, group.tables.map((table) => (signal) => completeTable({ ...context, signal }, table, staging)));
}

async function completeTable({ pools, job, signal }: MoveContext, table: MovedTable, staging: string): Promise<void> {
  await withConnection(pools.get(job.target), signal, async (connection) => {
    await connection.query({ text: `BEGIN; ${definitionSettings}`, simple: true }, { signal });
    const { rowCount } = await connection.query({ text: `INSERT INTO ${completedTable(staging)} VALUES ($1) ON CONFLICT DO NOTHING`, values: [table.shard] }, { signal });
    const { complete } = renderTarget(table, staging);
    if (rowCount === 1 && complete.length > 0) await connection.query({ text: complete.join(';\n'), simple: true }, { signal });
    await connection.query({ text: 'COMMIT' }, { signal });
    await connection.query({ text: `ANALYZE ${quoteQualified(staging, table.name)}` }, { signal });
  });
}

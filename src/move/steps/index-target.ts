import { allOrAbort } from '../../base/abort.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { endOtherUsers } from '../drop-objects.ts';
import { inLanes } from '../in-lanes.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { nodesOf, partitionsFirst, type TargetShard } from '../moved-tables.ts';
import { renderTarget } from '../render-target.ts';
import { unchangedGroups } from '../unchanged-group.ts';
import { withConnection } from '../../cluster/with-connection.ts';
import { completedTable, shardsOn } from './create.ts';

/** Shards of a node that are completed side by side. Each takes a connection, of which there are ten by default. */
const lanesMax = 4;

/** What is best made when the rows are there: keys, indexes, comments; then statistics. Each table in one transaction, which also says that it is done. */
export async function indexTarget(context: MoveContext): Promise<void> {
  const { targets } = await unchangedGroups(context);
  await allOrAbort(context.signal, nodesOf(targets).map((node) => (signal) => completeOn({ ...context, signal }, node, shardsOn(targets, node))));
}

async function completeOn(context: MoveContext, node: NodeId, shards: readonly TargetShard[]): Promise<void> {
  const { staging } = namesOf(context);
  await endOtherUsers(context.pools.get(node), shards.map(({ name }) => quoteQualified(staging, name)), context.signal);
  // What a partition has already, its parent's index or constraint takes for its own.
  for (const level of partitionsFirst(shards)) await inLanes(level, { lanesMax, signal: context.signal }, (shard, signal) => completeTable({ ...context, signal }, node, shard));
}

async function completeTable(context: MoveContext, node: NodeId, shard: TargetShard): Promise<void> {
  const { pools, signal } = context;
  const { staging } = namesOf(context);
  await withConnection(pools.get(node), signal, async (connection) => {
    await connection.query({ text: `BEGIN; ${definitionSettings}`, simple: true }, { signal });
    const { rowCount } = await connection.query({ text: `INSERT INTO ${completedTable(staging)} VALUES ($1) ON CONFLICT DO NOTHING`, values: [shard.shard] }, { signal });
    const { complete } = renderTarget(shard, staging);
    if (rowCount === 1 && complete.length > 0) await connection.query({ text: complete.join(';\n'), simple: true }, { signal });
    await connection.query({ text: 'COMMIT' }, { signal });
    await connection.query({ text: `ANALYZE ${quoteQualified(staging, shard.name)}` }, { signal });
  });
}

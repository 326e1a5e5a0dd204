import { at, present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import type { TableDefinition } from '../../ddl/table-definition.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { type Comparison, compareCopies, type TableCopy } from '../../verify/compare-copies.ts';
import type { ComparedRows } from '../../verify/compared-rows.ts';
import { acquireAll, type Attempt, drained, isForWantOfTime, untilOneSucceeds } from './attempts.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { type MovedGroups, nodesOf, shardsWithRows } from '../moved-tables.ts';
import { shardsOn } from './create.ts';

/** So many are told of. */
const differencesMax = 10;

/**
 * Compares what is in the new shards with what is in the old ones, at one moment. For that moment writers of the old shards wait, as at the cut-over but for less:
 * 1. SHARE locks on the old shards; 2. what committed before is applied; 3. snapshots are taken on all nodes; 4. the locks are released.
 * Then both sides are read in these snapshots, side by side, while writes go on and are applied.
 */
export async function verifyCopies(context: MoveContext): Promise<void> {
  if (context.limits.verify === false) return;
  context.rate.lift();
  await untilOneSucceeds(context, (how) => attempt(context, how));
}

/** Connections to the nodes of each side; one node may be on both. */
interface Readers {
  readonly sources: ReadonlyMap<NodeId, NodeConnection>;
  readonly targets: ReadonlyMap<NodeId, NodeConnection>;
}

/** False when a lock was not to be had in time. */
async function attempt(context: MoveContext, how: Attempt): Promise<boolean> {
  const { pools, signal } = context;
  const sources = await acquireAll(pools, nodesOf(how.groups.sources), signal);
  try {
    const targets = await acquireAll(pools, nodesOf(how.groups.targets), signal);
    try {
      if (!(await takeSnapshots(context, how, { sources, targets }))) return false;
      await compare(context, how.groups, { sources, targets });
      return true;
    } finally {
      await end(targets);
    }
  } finally {
    await end(sources);
  }
}

async function end(connections: ReadonlyMap<NodeId, NodeConnection>): Promise<void> {
  await Promise.all([...connections.values()].map(async (connection) => {
    // A connection that is lost has no transaction any more.
    if (connection.transactionStatus !== 'idle') await connection.query({ text: 'ROLLBACK', simple: true }).catch(() => undefined);
    connection.release();
  }));
}

async function takeSnapshots(context: MoveContext, { groups, feeds, timeoutMs, budgetMs }: Attempt, readers: Readers): Promise<boolean> {
  const { pools, signal } = context;
  const lockers = await acquireAll(pools, nodesOf(groups.sources), signal);
  try {
    const deadline = performance.now() + budgetMs;
    await Promise.all([...lockers].map(([node, connection]) => {
      const shards = shardsOn(groups.sources, node).map(({ sql }) => sql);
      return connection.query({ text: `BEGIN; SET LOCAL lock_timeout = ${timeoutMs}; LOCK TABLE ONLY ${shards.join(', ONLY ')} IN SHARE MODE`, simple: true }, { signal });
    }));
    await drained([...feeds].map(([node, feed]) => feed.drain(readers.sources.get(node))), deadline - performance.now());
    const text = `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; ${definitionSettings}; SELECT 1`;
    await Promise.all([...readers.sources.values(), ...readers.targets.values()].map((connection) => connection.query({ text, simple: true }, { signal })));
    return true;
  } catch (error) {
    if (!isForWantOfTime(error)) throw error;
    return false;
  } finally {
    await end(lockers);
  }
}

async function compare(context: MoveContext, groups: MovedGroups, readers: Readers): Promise<void> {
  const { signal, limits } = context;
  const { staging } = namesOf(context);
  let rowsVerified = 0;
  for (const [i, { definition }] of shardsWithRows(at(groups.sources, 0).tables).entries()) {
    const copies: TableCopy[] = [
      groups.sources.map(({ node, tables }) => ({ connection: present(readers.sources.get(node)), sql: at(shardsWithRows(tables), i).sql })),
      groups.targets.map(({ node, tables }) => ({ connection: present(readers.targets.get(node)), sql: quoteQualified(staging, at(shardsWithRows(tables), i).name) })),
    ];
    const onRead = ({ rows }: { readonly rows: number }): void => context.report({ rowsVerified: (rowsVerified += rows) });
    const comparison = await compareCopies(copies, comparedRows(definition), { signal, differencesMax, isSample: limits.verify === 'sample', onRead });
    if (comparison.differences.length > 0) throw copyDiffers(definition.name, comparison);
  }
}

function comparedRows({ columns, constraints }: TableDefinition): ComparedRows {
  const key = constraints?.find(({ kind }) => kind === 'primary')?.columns?.map((position) => present(columns.find((column) => column.position === position)).name);
  return { columns: columns.filter(({ generated }) => generated !== 'virtual').map(({ name, type }) => ({ name, type })), key };
}

function copyDiffers(table: string, { differences, complete }: Comparison): ClusterError {
  const count = (side: Comparison['differences'][number]['rows'][number] | undefined): number => (side ?? []).reduce((sum, row) => sum + row.count, 0);
  const told = differences.map(({ key, rows: [old, made] }) => {
    if (count(made) === 0) return `${key} is missing`;
    return count(old) === 0 ? `${key} should not be there` : `${key} differs`;
  });
  return new ClusterError('copyDiffers', `the copy of table "${table}" is not what it was made of`, {
    detail: `${told.join(', ')}${complete ? '' : ', and others'}.`, hint: 'Nothing was lost: the old shards are untouched. Please report it.', table,
  });
}

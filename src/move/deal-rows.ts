import { at, present } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CreatedSlot } from '../cluster/replication-connection.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { unescapeCopyText } from '../ddl/copy-text.ts';
import { definitionSettings } from '../ddl/definition-settings.ts';
import type { DistributionColumn } from '../ddl/check-distribution-column.ts';
import { distributeRows, type DistributionTarget, isNull, placedRows } from '../ddl/move-rows.ts';
import type { RowLocator } from '../ddl/split-rows.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { copiedRows } from './copied-rows.ts';
import { type MoveContext, namesOf } from './move-context.ts';
import { type MovedGroups, type MovedShard, nodesOf, type SourceGroup, shardsWithRows } from './moved-tables.ts';
import { routeByHash } from './row-route.ts';
import { acquireAll } from './steps/attempts.ts';
import { shardsOn } from './steps/create.ts';
import { withSnapshot } from './steps/with-snapshot.ts';

interface Dealing {
  /** Whose snapshots are read, by the source's node. */
  readonly slots: ReadonlyMap<NodeId, CreatedSlot>;
  readonly onRows: (bytes: number, rows: number) => void;
}

/**
 * Fills all shards in one reading of their source, whose rows are dealt out here: a reading for each shard would be many, or, where the server does not know the hash, bring all rows each time. A connection and a transaction
 * for each node; all of it is done again when the step is.
 */
export async function dealRows(context: MoveContext, groups: MovedGroups, dealing: Dealing): Promise<void> {
  const { pools, signal } = context;
  const connections = await acquireAll(pools, nodesOf(groups.targets), signal);
  try {
    for (const [node, connection] of connections) await begin(context, connection, shardsWithRows(shardsOn(groups.targets, node)));
    for (const source of groups.sources) await dealSource(context, groups, { ...dealing, source, connections });
    for (const connection of connections.values()) await connection.query({ text: 'COMMIT' }, { signal });
  } finally {
    // One that is in a transaction is closed.
    for (const connection of connections.values()) connection.release();
  }
}

async function begin(context: MoveContext, connection: NodeConnection, shards: readonly MovedShard[]): Promise<void> {
  const names = shards.map(({ name }) => quoteQualified(namesOf(context).staging, name));
  await connection.query({ text: `BEGIN; ${definitionSettings}; TRUNCATE ONLY ${names.join(', ONLY ')}`, simple: true }, { signal: context.signal });
}

interface DealtSource extends Dealing {
  readonly source: SourceGroup;
  /** To the targets. */
  readonly connections: ReadonlyMap<NodeId, NodeConnection>;
}

async function dealSource(context: MoveContext, groups: MovedGroups, { source, connections, slots, onRows }: DealtSource): Promise<void> {
  const { pools, signal } = context;
  await withSnapshot(pools.get(source.node), present(slots.get(source.node), 'slot'), signal, async (reading) => {
    for (const [i, table] of shardsWithRows(source.tables).entries()) {
      const target = targetOf(groups, table, i);
      const rows = passing(context, reading, { query: placedRows(target, table.sql), onRows });
      const join = (node: NodeId): Promise<NodeConnection> => Promise.resolve(present(connections.get(node), 'connection'));
      await distributeRows({ transaction: { join }, coordinator: reading, signal }, target, { rows, schema: namesOf(context).staging, freeze: true, locate: locatorOf(groups, target) });
    }
  });
}

/** `i`: of the tables with rows. */
function targetOf({ targets, hash }: MovedGroups, { definition }: MovedShard, i: number): DistributionTarget {
  const column = hash === undefined ? undefined : present(definition.columns.find(({ name }) => name === hash.columns.get(definition.oid)), 'distribution column');
  const distribution: DistributionColumn | undefined = hash === undefined || column === undefined ? undefined : { column, type: hash.type };
  return {
    table: definition, distribution,
    group: { hash: hash?.family ?? 'postgres', shardGroups: targets.map(({ id, node, min, max }, ordinal) => ({ id, ordinal, node, min, max })) },
    shardIds: targets.map(({ tables }) => at(shardsWithRows(tables), i).shard),
  };
}

/** Rows of a shard that is split may be without a value, which nobody should have written; those of a local table must not, as ever. */
function locatorOf({ hash, targets }: MovedGroups, { distribution }: DistributionTarget): RowLocator | undefined {
  if (hash?.takesNull !== true || distribution === undefined) return undefined;
  const route = routeByHash(hash, targets, distribution.column.name);
  return (field) => route.placeOfText(isNull(field) ? null : unescapeCopyText(field));
}

async function* passing({ rate, signal }: MoveContext, reading: NodeConnection, { query, onRows }: Pick<Dealing, 'onRows'> & { readonly query: string }): AsyncGenerator<Uint8Array> {
  for await (const { bytes, rows } of copiedRows(reading, { query, format: 'text', signal })) {
    await rate.pass(bytes.length, signal);
    onRows(bytes.length, rows);
    yield bytes;
  }
}

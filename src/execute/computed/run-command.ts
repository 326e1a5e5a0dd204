import { present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { shardName } from '../../catalog/shard-name.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import type { StatementScope } from '../statement-scope.ts';
import { byNode } from './by-node.ts';
import { type PlacedShard, placedShards } from './catalog-rows.ts';

export interface CommandCall {
  readonly name: string;
  /** An argument's text; undefined where it is NULL, or not given. */
  argument(name: string): string | undefined;
  /** The table that a name means. */
  table(name: string): CatalogTable;
}

type Row = Readonly<Record<string, string | number | boolean | null>>;

/**
 * Runs the command of a `run_command_on_…` function, in transactions of its own: on nodes side by side, on the shards of one node one after the other. One row for each, whether it went well and what came of it: the
 * value of its one row and column, its command tag, or its error. `%s` stands for the shard's name, `%1$s` and `%2$s` for those of co-located ones.
 */
export async function runCommand(scope: StatementScope, call: CommandCall): Promise<Row[]> {
  if (scope.inTransaction) throw new ClusterError('unsupportedQuery', `${call.name}() cannot run inside a transaction block`, { sqlState: '25001', detail: 'It runs the command in transactions of its own.', hint: 'Commit first.' });
  const command = required(call, 'command');
  const { snapshot } = scope;
  switch (call.name) {
    case 'run_command_on_workers':
      return onEach(scope, snapshot.nodes.map(({ id }) => ({ node: id, command, row: addressOf(snapshot, id) })));
    case 'run_command_on_all_nodes':
      return onEach(scope, [coordinatorNodeId, ...snapshot.nodes.map(({ id }) => id)].map((node) => ({ node, command, row: { nodeid: node } })));
    case 'run_command_on_coordinator':
      return onEach(scope, [{ node: coordinatorNodeId, command, row: { nodeid: coordinatorNodeId } }]);
    case 'run_command_on_shards':
      return onEach(scope, firstPlacements(shardsOf(snapshot, call, 'table_name')).map((shard) => ({ node: shard.node, command: command.replaceAll('%s', () => nameOf(shard)), row: { shardid: shard.shardId } })));
    case 'run_command_on_placements':
      return onEach(scope, shardsOf(snapshot, call, 'table_name').map((shard) => ({
        node: shard.node, command: command.replaceAll('%s', () => nameOf(shard)), row: { ...addressOf(snapshot, shard.node), shardid: shard.shardId },
      })));
    default:
      return onEach(scope, colocatedPairs(snapshot, call).map(([one, other]) => ({
        node: one.node, command: command.replaceAll(/%([12])\$s/g, (_, which) => nameOf(which === '1' ? one : other)),
        row: { ...addressOf(snapshot, one.node), shardid1: one.shardId, shardid2: other.shardId },
      })));
  }
}

function required(call: CommandCall, name: string): string {
  const value = call.argument(name);
  if (value === undefined) throw new ClusterError('invalidParameter', `argument ${name} of ${call.name}() is missing`);
  return value;
}

function shardsOf(snapshot: CatalogSnapshot, call: CommandCall, argument: string): PlacedShard[] {
  const table = call.table(required(call, argument));
  return placedShards({ ...snapshot, tables: new Map([['', table]]) });
}

/** One copy of each shard. */
function firstPlacements(shards: readonly PlacedShard[]): PlacedShard[] {
  return shards.filter(({ shardId }, i) => shards.findIndex((other) => other.shardId === shardId) === i);
}

function colocatedPairs(snapshot: CatalogSnapshot, call: CommandCall): [PlacedShard, PlacedShard][] {
  const [ones, others] = [shardsOf(snapshot, call, 'table_name1'), shardsOf(snapshot, call, 'table_name2')];
  const [one, other] = [ones[0]?.table, others[0]?.table];
  const together = one?.kind === 'distributed' && other?.kind === 'distributed' ? one.colocationId === other.colocationId : one?.kind === other?.kind;
  if (!together) throw new ClusterError('invalidParameter', `tables "${one?.name ?? ''}" and "${other?.name ?? ''}" are not co-located`);
  return ones.map((shard, i) => [shard, others[i] ?? shard]);
}

function nameOf({ table, shardId }: PlacedShard): string {
  return quoteQualified(table.schema, shardName(table.name, shardId));
}

function addressOf({ nodes }: CatalogSnapshot, id: NodeId): Row {
  const node = nodes.find((one) => one.id === id);
  return { nodename: node?.host ?? null, nodeport: node?.port ?? null };
}

interface Command {
  readonly node: NodeId;
  readonly command: string;
  readonly row: Row;
}

async function onEach(scope: StatementScope, commands: readonly Command[]): Promise<Row[]> {
  const rows = new Map<Command, Row>();
  await Promise.all([...byNode(commands).values()].map(async (ours) => {
    for (const one of ours) rows.set(one, { ...one.row, ...(await outcomeOf(scope, one)) });
  }));
  return commands.map((command) => present(rows.get(command)));
}

/** Fails only where the statement itself is to end. */
async function outcomeOf(scope: StatementScope, { node, command }: Command): Promise<{ readonly success: boolean; readonly result: string }> {
  try {
    return await scope.withConnection(node, 'write', async (connection) => {
      // What it sets is gone with it.
      connection.markDirty();
      const result = (await connection.queryEach(command, { signal: scope.signal, onNotice: scope.onNotice })).at(-1);
      if (result === undefined || result.fields.length === 0) return { success: true, result: result?.command ?? '' };
      if (result.fields.length > 1) return { success: false, result: 'expected a single column in query target' };
      if (result.rows.length > 1) return { success: false, result: 'expected a single row in query result' };
      return { success: true, result: result.rows[0]?.[0] ?? '' };
    });
  } catch (error) {
    if (scope.signal?.aborted === true || !(error instanceof Error)) throw error;
    return { success: false, result: error.message };
  }
}

import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { ComputedInput, CurrentValue } from '../../plan/computed/computed-plan.ts';
import type { UtilityCall } from '../../plan/statement-plan.ts';
import type { StatementScope } from '../statement-scope.ts';
import { catalogRows } from './catalog-rows.ts';
import { type ClientActivity, clientActivityRows } from './client-activity.ts';
import { readActivity, readLockWaits, readStatements } from './read-activity.ts';
import { readRelationSizes, readShardSizes } from './read-sizes.ts';
import { runCommand } from './run-command.ts';

export interface ComputeContext {
  readonly scope: StatementScope;
  /** The text of a call's argument; undefined where it is NULL, or not given. */
  argument(call: UtilityCall, name: string): string | undefined;
  /** The table that a name means; `notDistributed`. */
  table(name: string): CatalogTable;
  /** Rows of one of the cluster's own functions, as objects. */
  rowsOf(call: UtilityCall): Promise<readonly object[]>;
  valueOf(call: UtilityCall): Promise<string | null>;
  /** What the session has found. */
  current(input: CurrentValue): string | null;
  /** Clients of wire servers. */
  clients(): Promise<readonly ClientActivity[]>;
}

/** What the cluster computes for a statement, as the text of its parameter. Errors: what servers say; `shardMissing` when the catalog is old. */
export async function computeInput(input: ComputedInput, context: ComputeContext): Promise<string | null> {
  const { scope } = context;
  switch (input.kind) {
    case 'nodes':
    case 'tables':
    case 'schemas':
    case 'shards':
    case 'placements':
    case 'shard_relations':
    case 'colocation_groups':
      return JSON.stringify(catalogRows[input.kind](scope.snapshot));
    case 'shard_sizes':
      return JSON.stringify((await readShardSizes(scope)).map(({ shardId, node, bytes }) => ({ shard_id: shardId, node_id: node, bytes: String(bytes) })));
    case 'table_sizes':
      return JSON.stringify(await tableSizes(scope));
    case 'relation_sizes': {
      const sizes = await readRelationSizes(scope, input);
      return JSON.stringify(Object.fromEntries([...sizes].map(([oid, of]) => [oid, Object.fromEntries(Object.entries(of).map(([measure, bytes]) => [measure, String(bytes)]))])));
    }
    case 'activity':
      return readActivity(scope);
    case 'clients':
      return clientActivityRows(scope, await context.clients());
    case 'lock_waits':
      return readLockWaits(scope);
    case 'statements':
      return readStatements(scope);
    case 'call_rows': {
      const { call } = input;
      const isCommand = call.name.startsWith('run_command_on_');
      return JSON.stringify(isCommand ? await runCommand(scope, { name: call.name, argument: (name) => context.argument(call, name), table: (name) => context.table(name) }) : await context.rowsOf(call));
    }
    case 'call_value':
      return context.valueOf(input.call);
    case 'current_value':
      return context.current(input);
  }
}

/** With indexes, of all shards together. */
async function tableSizes(scope: StatementScope): Promise<{ readonly relation: number; readonly bytes: string }[]> {
  const bytes = new Map<number, bigint>([...scope.snapshot.tables.values()].map(({ oid }) => [oid, 0n]));
  for (const { table, bytes: own } of await readShardSizes(scope)) bytes.set(table.oid, (bytes.get(table.oid) ?? 0n) + own);
  return [...bytes].map(([relation, sum]) => ({ relation, bytes: String(sum) }));
}

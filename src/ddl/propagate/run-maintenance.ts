import type { QueryResult } from 'pg';
import { allOrAbort } from '../../base/abort.ts';
import { present } from '../../base/assert.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { ParsedQuery } from '../../cluster/node-connection.ts';
import type { StatementScope } from '../../execute/statement-scope.ts';
import type { LockPlan, MaintenancePlan } from '../../plan/ddl/maintenance-plan.ts';
import { ShardNames } from '../shard-names.ts';
import { type Placement, placementsOf } from './definition-change.ts';
import { nodeError } from './node-error.ts';

/** Runs VACUUM and the like: on the coordinator database as it is, then on each shard, the nodes side by side. */
export async function runMaintenance(scope: StatementScope, query: ParsedQuery, { parts, everywhere }: MaintenancePlan): Promise<QueryResult> {
  const result = await scope.runParsed(coordinatorNodeId, { ...query, mayWait: true }, 'write');
  const texts = new Map<NodeId, string[]>();
  if (everywhere !== undefined) for (const { id } of scope.snapshot.nodes) texts.set(id, [everywhere(await databaseOf(scope, id))]);
  for (const { table, index, text: textOf } of parts) {
    for (const { node, id } of placementsOf(scope.snapshot, table)) {
      const shard = new ShardNames(table, id);
      append(texts, node, textOf({ relation: index === undefined ? shard.sql : shard.index(index), part: (name) => shard.part(name) }));
    }
  }
  await onEachNode(scope, texts, (node, one) => scope.run(node, { text: one, simple: true, mayWait: true }, 'write'));
  return result;
}

/** As its server calls it: a pooler may have another name for it. */
async function databaseOf(scope: StatementScope, node: NodeId): Promise<string> {
  const { rows } = await scope.run(node, { text: 'SELECT pg_catalog.current_database()' }, 'read');
  return present(rows[0]?.[0] ?? undefined, 'database');
}

/** LOCK TABLE, in a transaction block: the shells first, which is where two sessions meet, then shards in order. */
export async function runLock(scope: StatementScope, query: ParsedQuery, { tables, mode, nowait }: LockPlan): Promise<QueryResult> {
  const result = await scope.runParsed(coordinatorNodeId, query, 'write');
  const shards = new Map<NodeId, (Placement & { readonly sql: string })[]>();
  for (const table of tables) for (const placement of placementsOf(scope.snapshot, table)) append(shards, placement.node, { ...placement, sql: new ShardNames(table, placement.id).sql });
  const texts = [...shards].map(([node, list]): [NodeId, string[]] => {
    const names = list.sort((a, b) => a.id - b.id).map(({ sql }) => sql);
    return [node, [`LOCK TABLE ${names.join(', ')} IN ${mode} MODE${nowait ? ' NOWAIT' : ''}`]];
  });
  await onEachNode(scope, new Map(texts), (node, text) => scope.run(node, { text, simple: true }, 'write'));
  return result;
}

async function onEachNode(scope: StatementScope, texts: ReadonlyMap<NodeId, readonly string[]>, run: (node: NodeId, text: string) => Promise<unknown>): Promise<void> {
  await allOrAbort(scope.signal, [...texts].map(([node, list]) => async (signal) => {
    try {
      for (const text of list) {
        signal.throwIfAborted();
        await run(node, text);
      }
    } catch (error) {
      throw nodeError(error, { snapshot: scope.snapshot, node });
    }
  }));
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  lists.set(key, [...(lists.get(key) ?? []), value]);
}

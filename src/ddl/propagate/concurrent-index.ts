import type { QueryResult } from 'pg';
import { allOrAbort } from '../../base/abort.ts';
import { present } from '../../base/assert.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeConnection, ParsedQuery } from '../../cluster/node-connection.ts';
import type { StatementScope } from '../../execute/statement-scope.ts';
import type { DefinitionPlan } from '../../plan/ddl/definition-plan.ts';
import type { ConcurrentIndexPlan } from '../../plan/ddl/maintenance-plan.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { readSnapshot } from '../../store/load-snapshot.ts';
import { definitionSettings } from '../definition-settings.ts';
import { readDefinition } from '../read-definition.ts';
import { createIndex, indexSettings } from '../render-shard.ts';
import { ShardNames } from '../shard-names.ts';
import type { IndexDefinition, TableDefinition } from '../table-definition.ts';
import { type Placement, placementsOf } from './definition-change.ts';
import { nodeError } from './node-error.ts';
import type { Outcome } from './node-work.ts';
import { runDefinition } from './run-definition.ts';

/**
 * CREATE INDEX CONCURRENTLY: first of all the shell has the index, which says what shards are to have, in a transaction of its own. Then each shard gets one, CONCURRENTLY, nodes side by side.
 * One that fails is taken back everywhere. A process that dies in between leaves shards without the index, or with an invalid one: CREATE INDEX CONCURRENTLY IF NOT EXISTS, with the name, goes on
 * where it stopped, DROP INDEX takes it back.
 *
 * DROP INDEX CONCURRENTLY: shards first, the shell last, so that it can be said again.
 */
export async function runConcurrentIndex(scope: StatementScope, query: ParsedQuery, plan: ConcurrentIndexPlan, lockTimeoutMs: number): Promise<QueryResult> {
  // The server says why not.
  if (scope.inTransaction) return scope.runParsed(coordinatorNodeId, { ...query, text: plan.written }, 'write');
  return plan.command === 'DROP' ? dropConcurrently(scope, query, plan, lockTimeoutMs) : createConcurrently(scope, query, plan, lockTimeoutMs);
}

function onShell(scope: StatementScope, query: ParsedQuery, { text, table }: Pick<ConcurrentIndexPlan, 'text' | 'table'>, lockTimeoutMs: number): Promise<QueryResult> {
  return runDefinition(scope, { ...query, text }, definition(text, { table }), { lockTimeoutMs, shellsOnly: true });
}

function definition(text: string, { table }: Pick<ConcurrentIndexPlan, 'table'>): DefinitionPlan {
  return { kind: 'definition', text, tables: [table], reach: 'named', droppedSchemas: [], conversions: new Map(), addedConstraints: new Set(), attached: undefined, isAlone: false, referenced: [], checksRows: false, code: undefined, makesTables: false, schemas: undefined, everywhere: undefined };
}

async function createConcurrently(scope: StatementScope, query: ParsedQuery, plan: ConcurrentIndexPlan, lockTimeoutMs: number): Promise<QueryResult> {
  const before = await definitionOf(scope, plan);
  const result = await onShell(scope, query, plan, lockTimeoutMs);
  const after = await definitionOf(scope, plan);
  const index = newIndex(before, after) ?? after.indexes?.find(({ name }) => name === plan.index);
  if (index === undefined) return result;
  try {
    await onShards(scope, { plan, outcome: named(plan, after) }, (connection, placement) => build(connection, new ShardNames(after, placement.id), index));
  } catch (error) {
    await takeBack(scope, query, { plan, index });
    throw error;
  }
  return result;
}

function newIndex(before: TableDefinition, after: TableDefinition): IndexDefinition | undefined {
  return after.indexes?.find(({ oid }) => before.indexes?.every((old) => old.oid !== oid) === true);
}

/** One that is there and valid stays; an invalid one has been left by somebody. */
async function build(connection: NodeConnection, shard: ShardNames, index: IndexDefinition): Promise<void> {
  connection.markDirty();
  await connection.query({ text: definitionSettings.replaceAll('SET LOCAL', 'SET'), simple: true });
  const { rows } = await connection.query({ text: 'SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)', values: [shard.index(index.name)] });
  const isValid = rows[0]?.[0];
  if (isValid === 't') return;
  if (isValid === 'f') await connection.query({ text: `DROP INDEX CONCURRENTLY ${shard.index(index.name)}` });
  await connection.query({ text: createIndex(shard, index, 'CONCURRENTLY ') });
  for (const text of indexSettings(shard, index)) await connection.query({ text });
}

/** By the catalog as it is now. What fails here leaves an index that the shell tells of: DROP INDEX can be said again. */
async function takeBack(scope: StatementScope, query: ParsedQuery, { plan, index }: { readonly plan: ConcurrentIndexPlan; readonly index: IndexDefinition }): Promise<void> {
  try {
    const snapshot = await scope.withConnection(coordinatorNodeId, 'read', (connection) => readSnapshot(connection));
    const text = `DROP INDEX ${quoteQualified(plan.table.schema, index.name)}`;
    await runDefinition(scope, { ...query, text }, definition(text, plan), { lockTimeoutMs: 0, snapshot });
  } catch {
    // The error that led here is the one to tell.
  }
}

async function dropConcurrently(scope: StatementScope, query: ParsedQuery, plan: ConcurrentIndexPlan, lockTimeoutMs: number): Promise<QueryResult> {
  const { table, index = '' } = plan;
  await onShards(scope, { plan }, async (connection, { id }) => {
    await connection.query({ text: `DROP INDEX CONCURRENTLY IF EXISTS ${new ShardNames(table, id).index(index)}` });
  });
  return onShell(scope, query, plan, lockTimeoutMs);
}

interface Work {
  readonly plan: ConcurrentIndexPlan;
  readonly outcome?: Outcome | undefined;
}

/** For the names of what is new. */
function named({ table }: ConcurrentIndexPlan, after: TableDefinition): Outcome {
  return { changed: [{ table, change: { before: after, after, conversions: new Map(), addedConstraints: new Set(), fillings: new Map() } }], dropped: [], known: new Map() };
}

/** Nodes side by side, a node's shards one after the other. */
async function onShards(scope: StatementScope, { plan: { table }, outcome }: Work, work: (connection: NodeConnection, placement: Placement) => Promise<void>): Promise<void> {
  const placements = placementsOf(scope.snapshot, table);
  const nodes = [...new Set(placements.map(({ node }) => node))];
  await allOrAbort(scope.signal, nodes.map((node) => async (signal) => {
    try {
      await scope.withConnection(node, 'write', async (connection) => {
        for (const placement of placements.filter((one) => one.node === node)) {
          signal.throwIfAborted();
          await work(connection, placement);
        }
      });
    } catch (error) {
      throw nodeError(error, { snapshot: scope.snapshot, outcome, node });
    }
  }));
}

function definitionOf(scope: StatementScope, { table }: ConcurrentIndexPlan): Promise<TableDefinition> {
  return scope.withConnection(coordinatorNodeId, 'read', async (connection) => {
    await connection.query({ text: `BEGIN; ${definitionSettings}`, simple: true });
    try {
      return present(await readDefinition(connection, table.oid));
    } finally {
      await connection.query({ text: 'ROLLBACK', simple: true });
    }
  });
}

import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { RelationNames } from '../analyze/relation-names.ts';
import type { CatalogTable, DistributedTable } from '../catalog/catalog-snapshot.ts';
import { lookupsWrittenThrough } from '../catalog/unique-lookup.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { shardGroupFor } from '../catalog/shard-for-hash.ts';
import { copyHolders } from '../catalog/reference-copies.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { CopySource } from '../execute/copy/copy-source.ts';
import { copyStatement, type CopyStatement, refuseSpreadOptions } from '../execute/copy/copy-statement.ts';
import { localCopyIn } from '../execute/copy/local-copy-in.ts';
import { referenceCopyIn } from '../execute/copy/reference-copy-in.ts';
import { shardedCopyIn } from '../execute/copy/sharded-copy-in.ts';
import { type CopyOutPart, shardedCopyOut } from '../execute/copy/sharded-copy-out.ts';
import { HeldConnections } from '../execute/held-connections.ts';
import { withLogicalNames } from '../execute/logical-names.ts';
import { renderColumns } from '../execute/copy/render-copy.ts';
import { askServerHash } from '../execute/server-hash.ts';
import { streamLocalTables } from '../execute/read-local-tables.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import { watchedScope, watchedSteps } from '../execute/watch-shells.ts';
import { placerOf } from '../plan/prune.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import { keepingLookups } from './keep-lookups.ts';
import { copiedQuery, copiedRows, type PlannedQuery } from './copy-query.ts';
import type { RunContext } from './run-statement.ts';
import { sequenceEffects } from './sequence-effects.ts';

/** COPY … FROM STDIN; resolves to the number of rows. All or nothing. */
export async function runCopyIn(statement: Statement, source: CopySource, { context, searchPath }: CopyContext): Promise<number> {
  const copy = copyOf(statement, 'from');
  const { scope } = context;
  const table = tableOf(copy, scope, searchPath);
  if (table === undefined) {
    const runsCode = await context.runsCode(namesOf(statement, scope), scope);
    return scope.withConnection(coordinatorNodeId, 'write', async (connection) => {
      const copyIn = (): Promise<number> => localCopyIn(connection, source, { sql: statement.text, signal: scope.signal, onNotice: scope.onNotice });
      return runsCode ? copyWatched(scope, connection, copyIn) : copyIn();
    });
  }
  refuseSpreadOptions(copy);
  if (table.kind === 'reference' && table.rowTriggers) throw triggered(table.name);
  const keeps = lookupsWrittenThrough(scope.snapshot.lookups, [table]).length > 0;
  const copied = (transaction: DistributedTransaction): Promise<number> => {
    const { snapshot, signal, onNotice } = scope;
    const shared = {
      copy, transaction, signal, onNotice, serverVersion: snapshot.server.version,
      defaults: {
        nextValues: (sequence: string, count: number) => context.sequences.next(sequence, count),
        evaluate: async (expression: string, count: number) => {
          const { rows } = await watchedScope(scope, () => context.runsCode(namesOf(statement, scope), scope)).run(coordinatorNodeId, { text: `SELECT (${expression})::text FROM pg_catalog.generate_series(1, ${count})` }, 'read');
          return rows.map((row) => at(row, 0));
        },
      },
      translateError: (error: unknown) => withLogicalNames(error, snapshot),
    };
    if (table.kind === 'reference') {
      return referenceCopyIn(source, { ...shared, table, holders: copyHolders(snapshot, table) });
    }
    const { shardGroups } = placerOf(table, snapshot).group;
    return shardedCopyIn(source, { ...shared, table, shards: shardsOf(table, scope), shardOf: shardLocator(table, scope), onRows: (ordinal, rows) => context.load.note(at(shardGroups, ordinal).id, rows) });
  };
  return keeps ? keepingLookups(scope, ({ transaction }) => copied(transaction)) : scope.atomically(copied);
}

/** Its copies are written side by side, and triggers are for the first alone. */
function triggered(name: string): ClusterError {
  return new ClusterError('unsupportedWrite', `cannot COPY into reference table "${name}", which has triggers`, {
    detail: 'One copy of the table runs them, and the others take over the rows that it has stored.', hint: 'COPY into a temporary table, and then INSERT … SELECT; or insert the rows.',
  });
}

export interface CopyContext {
  readonly context: RunContext;
  readonly searchPath: readonly string[];
}

export interface CopyOutContext extends CopyContext {
  /** Plans the query of COPY (query) TO; perhaps by a newer catalog than the context's. */
  readonly planned: (query: Statement) => Promise<PlannedQuery>;
  /** Where shards are read. */
  readonly reading: RunContext;
}

/** COPY … TO STDOUT as chunks of bytes. */
export async function* runCopyOut(statement: Statement, { context, reading, searchPath, planned }: CopyOutContext): AsyncGenerator<Uint8Array> {
  const copy = copyOf(statement, 'to');
  const { scope } = context;
  const table = tableOf(copy, scope, searchPath);
  const plan = copy.subject.kind === 'query' ? await planned(copiedQuery(statement)) : undefined;
  const query = plan === undefined ? undefined : await copiedRows(copy, plan);
  if (table !== undefined || (query !== undefined && query.kind !== 'coordinator')) refuseSpreadOptions(copy);
  if (query?.kind === 'merged') {
    yield* query.chunks;
    return;
  }
  const parts = query?.kind === 'parts' ? query.parts : table === undefined ? undefined : partsOf(copy, table, context);
  if (parts === undefined) {
    const runsCode = await context.runsCode(namesOf(statement, scope), scope);
    yield* streamLocalTables(scope, (runsCode ? watchedCopyOut : localCopyOut)(scope, statement.text));
    return;
  }
  yield* shardedCopyOut({
    copy,
    parts,
    copyOut: (node, sql, options) => heldCopyOut((plan?.context ?? reading).scope, node, sql, options),
    translateError: (error) => withLogicalNames(error, scope.snapshot),
    signal: scope.signal,
  });
}

/** What the statement runs depends on what it names. */
function namesOf(statement: Statement, { snapshot }: StatementScope): Parameters<RunContext['runsCode']>[0] {
  return { statement, snapshot, sequenceEffects: sequenceEffects(statement) };
}

async function copyWatched(scope: StatementScope, connection: NodeConnection, copyIn: () => Promise<number>): Promise<number> {
  let rows = 0;
  for await (const copied of watchedSteps(scope, connection, async function* () { yield await copyIn(); })) rows = copied;
  return rows;
}

function localCopyOut(scope: StatementScope, sql: string): AsyncIterable<Uint8Array> {
  return heldCopyOut(scope, coordinatorNodeId, sql, { signal: scope.signal, onNotice: scope.onNotice });
}

async function* watchedCopyOut(scope: StatementScope, sql: string): AsyncGenerator<Uint8Array> {
  const held = new HeldConnections(scope);
  try {
    const connection = await held.take(coordinatorNodeId, 'write');
    yield* watchedSteps(scope, connection, () => connection.copyOut(sql, { signal: scope.signal, onNotice: scope.onNotice }));
  } finally {
    await held.release();
  }
}

function copyOf(statement: Statement, direction: 'from' | 'to'): CopyStatement {
  const { node } = statement;
  const copy = 'CopyStmt' in node ? copyStatement(statement, node.CopyStmt) : undefined;
  if (copy?.direction !== direction) {
    throw new ClusterError('invalidParameter', `the statement is not COPY … ${direction === 'from' ? 'FROM STDIN' : 'TO STDOUT'}`);
  }
  return copy;
}

function tableOf({ subject }: CopyStatement, scope: StatementScope, searchPath: readonly string[]): CatalogTable | undefined {
  return subject.kind === 'table' ? new RelationNames(scope.snapshot, searchPath).resolve(subject.schema, subject.name) : undefined;
}

function shardsOf(table: DistributedTable, scope: StatementScope) {
  const { group } = placerOf(table, scope.snapshot);
  return group.shardGroups.map(({ node }, i) => ({ node, name: shardName(table.name, at(table.shardIds, i)) }));
}

/** The ordinal of a value's shard; asks the coordinator database for what only a server can read. */
function shardLocator(table: DistributedTable, scope: StatementScope) {
  const placer = placerOf(table, scope.snapshot);
  const { group, type, modifier } = placer;
  if (type === undefined) return (): number => 0;
  const context = modifier < 0 ? undefined : { modifier };
  const askServer = async (value: string | number): Promise<number | undefined> => {
    const hash = await askServerHash(placer, table, value, (query) => scope.run(coordinatorNodeId, query, 'read'));
    return hash === null ? undefined : shardGroupFor(group, hash).ordinal;
  };
  return (value: string | number): number | Promise<number | undefined> => {
    const hash = type.hashOf(value, group.hash, context);
    return hash === undefined ? askServer(value) : shardGroupFor(group, hash).ordinal;
  };
}

function partsOf({ subject }: CopyStatement, table: CatalogTable, context: RunContext): CopyOutPart[] {
  const listed = subject.kind === 'table' ? subject.columns : undefined;
  const columns = listed ?? table.columns.filter(({ generated }) => !generated).map(({ name }) => name);
  if (table.kind === 'reference') {
    return [{ node: context.nextNode(), source: `${quoteQualified(table.schema, shardName(table.name, table.shardId))}${renderColumns(columns)}` }];
  }
  return shardsOf(table, context.scope).map(({ node, name }) => ({
    node,
    source: `${quoteIdentifier(table.schema)}.${quoteIdentifier(name)}${renderColumns(columns)}`,
  }));
}

async function* heldCopyOut(scope: StatementScope, node: NodeId, sql: string, options: CallOptions): AsyncGenerator<Uint8Array> {
  const held = new HeldConnections(scope);
  try {
    const connection = await held.take(node);
    yield* connection.copyOut(sql, options);
  } finally {
    await held.release();
  }
}

import { ClusterError } from '../base/errors.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { loadGrammar } from '../sql/parse.ts';
import { admitted } from '../store/admission.ts';
import { bumpVersion, lockCatalog, readNodes } from '../store/catalog-changes.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import { inTransaction } from '../txn/in-transaction.ts';
import type { DdlContext, Within } from './ddl-context.ts';
import { definitionSettings, underDefinitionSettings, underNodeSettings } from './definition-settings.ts';
import { readDefinition } from './read-definition.ts';
import { releaseCopies } from './shell-copies.ts';
import type { TableDefinition } from './table-definition.ts';

/** One change of tables or nodes while it runs: in one distributed transaction, alone in changing the catalog. */
export interface CatalogChange extends CallOptions {
  readonly transaction: DistributedTransaction;
  readonly coordinator: NodeConnection;
  readonly clusterId: string;
  /** In order of id. */
  readonly nodes: readonly ClusterNode[];
}

interface ChangeSteps<L, T> {
  readonly lockFirst: (coordinator: NodeConnection) => Promise<L>;
  readonly body: (change: CatalogChange, locked: L) => Promise<T>;
  /** Nothing is changed that a plan may depend on, so that no statement need be planned anew. */
  readonly keepsVersion?: boolean | undefined;
  /** The only tables that are changed, with their partitions, by what has been locked. Any may be, where it is not given. */
  readonly tablesOf?: ((locked: L) => readonly number[]) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `body` in one distributed transaction and commits it as a new version of the catalog: all or nothing, on all servers.
 * `lockFirst` may take locks on tables before the catalog's own, so that nobody waits for the catalog behind a slow query.
 */
export async function changeCatalog<L, T>(context: DdlContext, steps: ChangeSteps<L, T>): Promise<T> {
  const { signal } = steps;
  await loadGrammar();
  if (context.within !== undefined) return changeWithin(context, context.within, steps);
  const result = await inTransaction(context.begin(), { signal }, async (transaction) => {
    const coordinator = await transaction.join(coordinatorNodeId, 'write', { signal });
    const locked = await steps.lockFirst(coordinator);
    await coordinator.query({ text: definitionSettings, simple: true }, { signal });
    const clusterId = await lockCatalog({ coordinator, signal });
    const nodes = await readNodes({ coordinator, signal });
    context.admitNodes(nodes);
    const made = await steps.body({ transaction, coordinator, clusterId, nodes, signal }, locked);
    if (steps.keepsVersion !== true) await bumpVersion({ coordinator, signal }, steps.tablesOf?.(locked));
    return made;
  });
  await context.refreshCatalog();
  return result;
}

/** The same as a part of a session's transaction, whose settings hold again afterwards. Waiting for a lock must end: what holds it may be the transaction itself, on another connection. */
async function changeWithin<L, T>(context: DdlContext, { transaction, lockTimeoutMs }: Within, { signal, lockFirst, body, tablesOf }: ChangeSteps<L, T>): Promise<T> {
  const options = { signal };
  const coordinator = await admitted(await transaction.join(coordinatorNodeId, 'write', options), options);
  const locked = await lockFirst(coordinator);
  const clusterId = await lockCatalog({ coordinator, signal });
  const nodes = await readNodes({ coordinator, signal });
  context.admitNodes(nodes);
  const work = async (): Promise<T> => {
    for (const { id } of nodes) await (await transaction.join(id, 'write', options)).query({ text: `SET LOCAL lock_timeout = ${lockTimeoutMs}`, simple: true }, options);
    const result = await body({ transaction, coordinator, clusterId, nodes, signal }, locked);
    await bumpVersion({ coordinator, signal }, tablesOf?.(locked));
    return result;
  };
  return underDefinitionSettings(coordinator, options, () => underNodeSettings(transaction, nodes.map(({ id }) => id), { options, work }));
}

/** As `changeCatalog`, for one table, which nobody else can read or write meanwhile. `undefinedTable`. */
export function changeTable<T>(
  context: DdlContext,
  steps: {
    readonly table: string;
    /** Another table that the call names, to be read under the same search path; not locked. */
    readonly otherTable?: string | undefined;
    readonly body: (change: CatalogChange, table: TableDefinition, otherOid: number | undefined) => Promise<T>;
    /** Nothing is changed but the table and its partitions. */
    readonly onlyIt?: boolean | undefined;
    /**
     * Makes it the one that gives way to others' changes: it waits for the catalog while it has locked nothing, as definitions of users do, which lock tables behind that; and for tables, here and later, no longer than this, so much less than
     * `deadlock_timeout` that it ends with 55P03 before a deadlock is found.
     */
    readonly lockTimeoutMs?: number | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<T> {
  const { signal } = steps;
  return changeCatalog(context, {
    signal,
    lockFirst: async (coordinator) => {
      if (context.searchPath !== undefined) await setSearchPath(coordinator, context.searchPath, signal);
      if (steps.lockTimeoutMs !== undefined) {
        await lockCatalog({ coordinator, signal });
        await coordinator.query({ text: `SET LOCAL lock_timeout = ${steps.lockTimeoutMs}`, simple: true }, { signal });
      }
      const other = steps.otherTable === undefined ? undefined : await resolveTable(coordinator, steps.otherTable, signal);
      return { oid: await lockTable(coordinator, steps.table, signal), otherOid: other?.oid };
    },
    tablesOf: steps.onlyIt === true ? ({ oid }) => [oid] : undefined,
    body: async (change, { oid, otherOid }) => {
      const made = await steps.body(change, await readDefinition(change.coordinator, oid, { signal }), otherOid);
      await releaseCopies(change);
      return made;
    },
  });
}

/** Locks what the name means. Returns its OID. */
async function lockTable(coordinator: NodeConnection, name: string, signal: AbortSignal | undefined): Promise<number> {
  const found = await resolveTable(coordinator, name, signal);
  if (!found.lockable) return found.oid;
  if (!found.owned) throw new ClusterError('invalidParameter', `must be owner of table ${found.name}`, { sqlState: '42501' });
  const text = `LOCK TABLE ${found.partitioned ? '' : 'ONLY '}${quoteQualified(found.schema, found.name)} IN ACCESS EXCLUSIVE MODE`;
  await coordinator.query({ text }, { signal });
  // While we waited, another table may have taken the name.
  const again = await resolveTable(coordinator, name, signal);
  if (again.oid !== found.oid) throw new ClusterError('undefinedTable', `relation "${name}" was replaced while waiting for its lock`);
  return found.oid;
}

async function setSearchPath(coordinator: NodeConnection, path: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const value = path.map((schema) => `"${schema.replaceAll('"', '""')}"`).join(', ');
  await coordinator.query({ text: `SELECT set_config('search_path', $1, true)`, values: [value] }, { signal });
}

interface FoundTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Views and the like are refused later, in better words than a lock has. */
  readonly lockable: boolean;
  /** It is locked with its partitions. */
  readonly partitioned: boolean;
  /** By the connection's role, or one that it is a member of. */
  readonly owned: boolean;
}

export async function resolveTable(coordinator: NodeConnection, name: string, signal?: AbortSignal): Promise<FoundTable> {
  const { rows } = await coordinator.query(
    {
      text: `SELECT c.oid, n.nspname, c.relname, c.relkind IN ('r', 'p') AND c.oid >= 16384, c.relkind = 'p', pg_catalog.pg_has_role(c.relowner, 'USAGE')
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass($1)`,
      values: [name],
    },
    { signal },
  );
  const [oid, schema, relation, lockable, partitioned, owned] = rows[0] ?? [];
  if (typeof oid !== 'string' || typeof schema !== 'string' || typeof relation !== 'string') {
    throw new ClusterError('undefinedTable', `relation "${name}" does not exist`);
  }
  return { oid: Number(oid), schema, name: relation, lockable: lockable === 't', partitioned: partitioned === 't', owned: owned === 't' };
}

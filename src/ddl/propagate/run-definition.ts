import type { QueryResult } from 'pg';
import { allOrAbort } from '../../base/abort.ts';
import { assert, present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { tableByOid } from '../../catalog/table-by-oid.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection, ParsedQuery } from '../../cluster/node-connection.ts';
import { rightlyPositioned } from '../../execute/rightly-positioned.ts';
import type { StatementScope } from '../../execute/statement-scope.ts';
import type { DefinitionPlan } from '../../plan/ddl/definition-plan.ts';
import { admitted } from '../../store/admission.ts';
import { bumpVersion, deleteTable, lockVersion } from '../../store/catalog-changes.ts';
import { underDefinitionSettings } from '../definition-settings.ts';
import { readDefinitions } from '../read-definition.ts';
import type { TableDefinition } from '../table-definition.ts';
import { sendObjectsOf } from '../objects/send-objects.ts';
import { fenceStatements } from '../shell.ts';
import { checkDependencies } from '../check-behaviour.ts';
import { checkPublications } from '../check-publications.ts';
import { isPublishedAnew } from './change-publications.ts';
import { checkChange, refuseConversions } from './check-change.ts';
import { copiesAhead, copiesFollow } from './copies-follow.ts';
import { concernedTables } from './concerned-tables.ts';
import { ConvertedCopies } from './converted-copies.ts';
import type { DefinitionChange } from './definition-change.ts';
import { fillColumns } from './fill-columns.ts';
import { heldLocks, lockShards } from './lock-shards.ts';
import { lookupPartitions, type LookupPartitions, partitionsCome, partitionsLeave } from './lookup-partitions.ts';
import { distributeNewPartitions } from './new-partitions.ts';
import { keepBounds, readBounds, refuseBesideDefault } from './partition-bounds.ts';
import { nodeError } from './node-error.ts';
import { onceInConversions } from './once-in-conversions.ts';
import { checkLookupsStay } from '../lookups/check-lookups-stay.ts';
import { withOnePassword } from './one-password.ts';
import { readShells, refuseReading } from './read-shells.ts';
import { nodeLocks, nodeWork, type Outcome } from './node-work.ts';
import { renewChanged } from './renew-changed.ts';
import { ownTriggersStay } from './own-triggers.ts';
import { dropRowValues, type RowValues } from './row-values.ts';
import { schemasFollow } from './schemas-follow.ts';
import { runEverywhere, surroundingsOf } from './run-everywhere.ts';
import type { TableChange } from './table-change.ts';

export interface DefinitionOptions {
  readonly lockTimeoutMs: number;
  /** The shards follow later, or have gone before. */
  readonly shellsOnly?: boolean | undefined;
  /** Whether new schemas are distributed where the session does not say so itself (`citus.enable_schema_based_sharding`). */
  readonly distributesSchemas?: boolean | undefined;
  /** The scope's where not given. */
  readonly snapshot?: CatalogSnapshot | undefined;
}

/**
 * Runs a statement that changes definitions, in the session's transaction or in one of its own:
 *
 * 1. It alone changes the catalog from here on.
 * 2. The coordinator database runs the statement as it is written, on the shells. So whether it is right, and what it means, PostgreSQL says.
 * 3. The shards get the locks that the shells have got.
 * 4. The definitions of the shells are compared with what they were. The shards are made what their shells have become.
 * 5. Where columns have changed, shards get new ids and names: what was planned for the old ones finds nothing, and is planned anew.
 * 6. What is about objects that every node has, the nodes run themselves; with CASCADE they find none left of the shards' parts that go with them.
 * 7. Tables that have come to distributed schemas get their shards.
 * 8. Reference tables that local tables have come to refer to get their rows in the coordinator database; those to which none refers any more lose them there.
 *
 * Errors: the server's own, `unsupportedTable`, `unsupportedDdl`, `lockNotAvailable`; `shardMissing` where the snapshot is out of date: nothing has been done then.
 */
export function runDefinition(scope: StatementScope, query: ParsedQuery, plan: DefinitionPlan, { lockTimeoutMs, shellsOnly = false, distributesSchemas = false, snapshot = scope.snapshot }: DefinitionOptions): Promise<QueryResult> {
  if (plan.isAlone && scope.inTransaction) throw new ClusterError('unsupportedDdl', 'ALTER TABLE ... DETACH CONCURRENTLY cannot run inside a transaction block', { sqlState: '25001' });
  return scope.atomically(async (transaction, options) => {
    const coordinator = await admitted(await transaction.join(coordinatorNodeId, 'write', options), options);
    const change: DefinitionChange = { transaction, coordinator, snapshot, options, lockTimeoutMs, shellsOnly, distributesSchemas };
    const known = await lookBefore(change, plan);
    const text = plan.everywhere === undefined ? undefined : await withOnePassword(plan.everywhere, coordinator, options);
    const conversions = await onceInConversions(change, plan.conversions);
    const result = await onShells(change, text === undefined ? query : { ...query, text });
    if (plan.disabledTriggers !== undefined) await ownTriggersStay(change, plan.disabledTriggers, [...known.before.values()]);
    if (plan.code !== undefined) await refuseReading(change, { code: plan.code, before: known.read });
    await followStatement(change, { ...plan, conversions }, { ...known, text });
    await copiesFollow(change, plan);
    return result;
  });
}

/** `text`: what is run in place of the statement. */
type Known = Awaited<ReturnType<typeof lookBefore>> & { readonly text: string | undefined };

/** Makes it alone in changing the catalog, and reads what the statement may change. */
async function lookBefore(change: DefinitionChange, plan: DefinitionPlan) {
  const { coordinator, options } = change;
  await begin(change);
  await copiesAhead(change, plan);
  const before = await underDefinitionSettings(coordinator, options, () => concernedTables(change, plan));
  const surroundings = plan.everywhere === undefined ? undefined : await surroundingsOf(change, plan.everywhere);
  const schemas = plan.schemas === 'made' ? (surroundings?.schemas ?? []) : undefined;
  const lost = plan.reach === 'schemas' ? await readLost(change) : [];
  if (plan.attached !== undefined && before.get(plan.attached.oid)?.partition === false) await unfencePartition(change, plan.attached);
  const read = plan.code === undefined ? new Map() : await readShells(change);
  if (plan.isAlone) await refuseBesideDefault(change, plan);
  const bounds = plan.isAlone ? await underDefinitionSettings(coordinator, options, () => readBounds(change, plan)) : undefined;
  return { before, surroundings, schemas, lost, read, bounds };
}

/** Shards, nodes and the catalog become what the statement has made of the shells. */
async function followStatement(change: DefinitionChange, plan: DefinitionPlan, { before, surroundings, schemas, lost, bounds, text }: Known): Promise<void> {
  const { coordinator, options } = change;
  if (bounds !== undefined) await underDefinitionSettings(coordinator, options, () => keepBounds(change, bounds));
  const changed = await underDefinitionSettings(coordinator, options, () => onShards(change, plan, before));
  if (plan.reach === 'schemas') await checkNoneLost(change, lost);
  if (plan.everywhere !== undefined) await runEverywhere(change, text === undefined ? plan.everywhere : { ...plan.everywhere, text }, present(surroundings));
  const hasTables = await schemasFollow(change, plan, schemas);
  // Plans may have been made with other types and functions.
  if (hasTables || plan.everywhere !== undefined) await bumpVersion({ coordinator, ...options });
  else if (changed !== undefined) await bumpVersion({ coordinator, ...options }, changed === 'any' ? undefined : changed);
}

async function begin({ coordinator, snapshot, options }: DefinitionChange): Promise<void> {
  const version = await lockVersion({ coordinator, ...options });
  if (version === snapshot.version) return;
  throw new ClusterError('shardMissing', 'tables were changed by others in the meantime', { hint: 'Try it again.' });
}

/** A limit that the session has set itself is the one that counts. */
async function onShells({ coordinator, lockTimeoutMs, options }: DefinitionChange, query: ParsedQuery): Promise<QueryResult> {
  const limit = `SELECT pg_catalog.set_config('lock_timeout', $1, true) WHERE pg_catalog.current_setting('lock_timeout') OPERATOR(pg_catalog.=) '0'`;
  const { rows } = await coordinator.query({ text: limit, values: [String(lockTimeoutMs)] }, options);
  const run = (): Promise<QueryResult> => coordinator.queryParsed(query, options).catch((error: unknown) => Promise.reject(rightlyPositioned(error)));
  if (rows.length === 0) return run();
  const result = await run();
  await coordinator.query({ text: 'SET LOCAL lock_timeout = 0', simple: true }, options);
  return result;
}

/** Returns of which tables, by OID, plans may be others now; undefined for none. */
async function onShards(change: DefinitionChange, plan: DefinitionPlan, before: ReadonlyMap<number, TableDefinition>): Promise<readonly number[] | 'any' | undefined> {
  const after = await withFences(change, before, await readDefinitions(change.coordinator, [...before.keys()], change.options));
  const outcome = outcomeOf(change, plan, { before, after });
  if (plan.reach === 'all') for (const { change: one } of outcome.changed) refuseConversions(one);
  for (const { table, change: one } of outcome.changed) {
    checkLookupsStay(change.snapshot, one);
    checkChange(change.snapshot, table, one);
  }
  const partitions = change.shellsOnly ? [] : await lookupPartitions(change);
  if (!change.shellsOnly) await shardsFollow(change, before, { ...outcome, partitions });
  const added = change.shellsOnly ? 0 : await distributeNewPartitions(change, before);
  await partitionsCome(change, partitions);
  if (added > 0 || partitions.length > 0 || plan.reach === 'schemas' || plan.reach === 'all') return 'any';
  // CASCADE may have reached views.
  if (plan.reach !== 'connected' && !hasChanged({ before, after })) return undefined;
  return plan.makesTables || hasOtherNames({ before, after }) ? 'any' : [...before.keys()];
}

/** OIDs of tables whose shells are gone. */
async function readLost({ coordinator, options }: DefinitionChange): Promise<readonly (string | null | undefined)[]> {
  const { rows } = await coordinator.query({ text: 'SELECT relation::oid FROM shardwright.distributed_table WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation)' }, options);
  return rows.map(([oid]) => oid);
}

/** A table that is gone with its schema, and was not thought of, would leave its shards behind. */
async function checkNoneLost(change: DefinitionChange, before: readonly (string | null | undefined)[]): Promise<void> {
  const lost = (await readLost(change)).filter((oid) => !before.includes(oid));
  assert(lost.length === 0, `tables ${lost.join(', ')} were dropped, and their shards were not`);
}

async function shardsFollow(change: DefinitionChange, before: ReadonlyMap<number, TableDefinition>, outcome: Outcome & { readonly partitions: readonly LookupPartitions[] }): Promise<void> {
  const { transaction, coordinator, snapshot: { nodes }, options } = change;
  for (const { change: one } of outcome.changed) if (dependsAnew(one)) await checkDependencies({ transaction, coordinator, nodes, signal: options.signal }, one.after);
  const servers = await lockedServers(change, before);
  await partitionsLeave(change, outcome.partitions);
  const filled = await withFillings(change, outcome);
  await sendPublications(change, outcome);
  await doWork(change, { ...outcome, changed: filled }, servers);
  for (const { rowValues, change: { after } } of filled) if (rowValues !== undefined) await dropRowValues(change, rowValues, after);
  for (const { table } of outcome.dropped) await deleteTable({ coordinator: change.coordinator, ...change.options }, table.oid);
}

/** Nodes get a publication when it gets the first table that is on them. */
async function sendPublications({ transaction, coordinator, snapshot: { clusterId, nodes }, options }: DefinitionChange, { changed }: Outcome): Promise<void> {
  const published = changed.filter(({ change }) => isPublishedAnew(change)).map(({ change }) => change.after);
  if (published.length === 0) return;
  await checkPublications(coordinator, published, options);
  await sendObjectsOf({ transaction, coordinator, clusterId, nodes, signal: options.signal }, published.map(({ oid }) => oid));
}

/** Whether it may need functions and roles that it did not need. */
function dependsAnew({ before, after }: TableChange): boolean {
  const needed = ({ policies, triggers, owner, grants, columns }: TableDefinition): string => JSON.stringify([policies, triggers, owner, grants, columns.map((column) => column.grants)]);
  return needed(before) !== needed(after);
}

interface Definitions {
  readonly before: ReadonlyMap<number, TableDefinition>;
  readonly after: ReadonlyMap<number, TableDefinition>;
}

function outcomeOf({ snapshot }: DefinitionChange, { conversions, addedConstraints, tables }: DefinitionPlan, { before, after }: Definitions): Outcome {
  const changed: Outcome['changed'][number][] = [];
  const dropped: Outcome['dropped'][number][] = [];
  for (const [oid, was] of before) {
    const table = present(tableByOid(snapshot, oid), 'table');
    const is = after.get(oid);
    if (is === undefined) dropped.push({ table, before: was });
    else if (JSON.stringify(was) !== JSON.stringify(is) || (conversions.size > 0 && table === tables[0])) {
      const own = table === tables[0];
      changed.push({ table, change: { before: was, after: is, conversions: own ? conversions : new Map(), addedConstraints: own ? addedConstraints : new Set(), fillings: new Map() } });
    }
  }
  return { changed: changed.map(({ table, change }) => ({ table, change: belowOthers(change, changed) })), dropped, known: before };
}

/** With the change of the table above, whose columns a partition has. */
function belowOthers(change: TableChange, changed: Outcome['changed']): TableChange {
  const oid = change.after.partitionOf?.table.oid;
  const found = oid === change.before.partitionOf?.table.oid ? changed.find(({ change: { before } }) => before.oid === oid)?.change : undefined;
  if (found === undefined) return change;
  const above = belowOthers(found, changed);
  const { conversions, addedConstraints } = change.conversions.size > 0 ? change : above;
  return { ...change, above, conversions, addedConstraints };
}

/** It gets the trigger that keeps rows out from above, under the same name. */
async function unfencePartition({ coordinator, options }: DefinitionChange, { schema, name }: Pick<CatalogTable, 'schema' | 'name'>): Promise<void> {
  const own = fenceStatements({ schema, name, partition: true }).map((fence) => fence.name);
  for (const fence of fenceStatements({ schema, name, partition: false })) if (!own.includes(fence.name)) await coordinator.query({ text: fence.drop }, options);
}

/** A partition has the trigger that keeps rows out of its shell from above; one that is detached needs its own. */
async function withFences(change: DefinitionChange, before: ReadonlyMap<number, TableDefinition>, after: Map<number, TableDefinition>): Promise<Map<number, TableDefinition>> {
  const { coordinator, options } = change;
  const detached = [...after.values()].filter(({ oid, partition }) => !partition && before.get(oid)?.partition === true);
  if (detached.length === 0) return after;
  for (const table of detached) {
    for (const { name, create } of fenceStatements(table)) if (table.fence?.includes(name) !== true) await coordinator.query({ text: create }, options);
  }
  return readDefinitions(coordinator, [...before.keys()], options);
}

type Filled = Outcome['changed'][number] & { readonly rowValues: RowValues | undefined };

async function withFillings(change: DefinitionChange, { changed }: Outcome): Promise<Filled[]> {
  const filled: Filled[] = [];
  for (const { table, change: one } of changed) {
    const { fillings, rowValues } = await fillColumns(change, table, one);
    filled.push({ table, change: { ...one, fillings }, rowValues });
  }
  return filled;
}

/** A server in the transaction, with the settings that its session had. */
interface Server {
  readonly connection: NodeConnection;
}

/** All locks are taken before anything is changed, on all nodes side by side. */
async function lockedServers(change: DefinitionChange, before: ReadonlyMap<number, TableDefinition>): Promise<Map<NodeId, Server>> {
  const locks = nodeLocks(change, before, await heldLocks(change));
  const servers = new Map<NodeId, Server>();
  await allOrAbort(change.options.signal, [...locks].map(([node, list]) => async (signal) => {
    const connection = await change.transaction.join(node, 'write', { ...change.options, signal });
    servers.set(node, { connection });
    await lockShards(connection, list, { ...change, options: { ...change.options, signal } });
  }));
  return servers;
}

async function doWork(change: DefinitionChange, outcome: Outcome, servers: ReadonlyMap<NodeId, Server>): Promise<void> {
  const renames = await renewChanged(change, outcome);
  const work = nodeWork(change, outcome);
  const converted = new ConvertedCopies(outcome);
  await allOrAbort(change.options.signal, [...work].map(([node, { before, convert, after }]) => async (signal) => {
    const options = { ...change.options, signal };
    const connection = servers.get(node)?.connection ?? (await change.transaction.join(node, 'write', options));
    const run = async (texts: readonly string[]): Promise<void> => {
      if (texts.length > 0) await connection.query({ text: texts.join(';\n'), simple: true }, options);
    };
    const runFixed = async (texts: readonly string[]): Promise<void> => {
      if (texts.length > 0) await underDefinitionSettings(connection, options, () => run(withLimit(texts, change)));
    };
    const last = [...after, ...(renames.get(node) ?? [])];
    try {
      if (convert.length === 0) return await runFixed([...before, ...last]);
      await runFixed(before);
      await run(convert);
      await underDefinitionSettings(connection, options, async () => {
        await converted.look(node, connection, options);
        await run(withLimit(last, change));
      });
    } catch (error) {
      throw nodeError(error, { snapshot: change.snapshot, outcome, node });
    }
  }));
  await converted.look(coordinatorNodeId, change.coordinator, change.options);
  converted.check();
}

/** Foreign keys lock other tables' shards as well. The shards' own locks are there already, and somebody may wait for them. */
function withLimit(texts: readonly string[], { lockTimeoutMs }: DefinitionChange): readonly string[] {
  return texts.length === 0 ? [] : [`SET LOCAL lock_timeout = ${lockTimeoutMs}`, ...texts];
}

/** Whether plans may be others now. */
function hasChanged({ before, after }: Definitions): boolean {
  return [...before].some(([oid, was]) => JSON.stringify(catalogued(was)) !== JSON.stringify(catalogued(after.get(oid))));
}

/** A table's name is that of a type, too, of which other tables may have columns. */
function hasOtherNames({ before, after }: Definitions): boolean {
  return [...after].some(([oid, { schema, name }]) => schema !== before.get(oid)?.schema || name !== before.get(oid)?.name);
}

/** What the catalog's snapshot has of a table. */
function catalogued(table: TableDefinition | undefined): unknown {
  if (table === undefined) return undefined;
  const { schema, name, columns, constraints, indexes, rowSecurity, rowSecurityForced, policies, owner, triggers } = table;
  return [schema, name, columns, (constraints ?? []).map((one) => one.name), (indexes ?? []).map((one) => [one.oid, one.name, one.unique && one.valid, one.columns]), rowSecurity, rowSecurityForced, policies, owner, triggers !== null];
}

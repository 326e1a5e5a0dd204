import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import type {
  CatalogSnapshot, CatalogTable, ClusterNode, ColocationGroup, Column, ColumnDefault, DependentView, HashFamily, Policy, RowSecurity, ShardGroup, TableIndex,
} from '../catalog/catalog-snapshot.ts';
import { tableKey } from '../catalog/catalog-snapshot.ts';
import type { UniqueLookup } from '../catalog/unique-lookup.ts';
import { type HostTuples, serversOf } from './node-servers.ts';
import { colocationId, nodeId, shardGroupId, shardId } from '../catalog/ids.ts';
import { checkInvariants } from '../catalog/invariants.ts';
import { catalogDocumentQuery, placementsQuery } from './catalog-document.ts';
import { installSchema } from './install.ts';

/** What the coordinator database answers, as in catalog-document.ts. Lists that would be empty are null. */
interface CatalogDocument {
  readonly clusterId: string;
  readonly version: number;
  readonly serverVersion: number;
  readonly database: Readonly<Record<string, unknown>>;
  readonly nodes: readonly NodeTuple[] | null;
  readonly groups: readonly GroupTuple[] | null;
  readonly schemas?: readonly [name: string, colocation: number][] | null;
  readonly tables: readonly TableTuple[] | null;
  /** OIDs of further tables, which are as they were in the version that was known. */
  readonly kept?: readonly number[] | null;
  readonly views: readonly ViewTuple[] | null;
  readonly lookups?: readonly LookupTuple[] | null;
}

type NodeTuple = [
  id: number, host: string, port: number, database: string, hosts: HostTuples | null, patroni: readonly string[] | null, systemIdentifier: string | null, timeline: number | null,
];

type GroupTuple = [
  id: number, shardCount: number, hash: HashFamily, distributionType: string | null,
  slices: readonly [id: number, ordinal: number, min: number, max: number, node: number][] | null,
];

type TableTuple = [
  oid: number, schema: string, name: string, kind: 'distributed' | 'reference', distributionPosition: number | null,
  colocation: number | null, shardIds: readonly number[] | null, columns: readonly ColumnTuple[] | null,
  indexes: readonly IndexTuple[] | null, constraints: readonly string[] | null,
  rowSecurity?: boolean, rowTriggers?: boolean, partitioned?: boolean, security?: SecurityTuple | null, shellIsCopy?: boolean,
];

type SecurityTuple = [owner: string, forced: boolean, policies: readonly PolicyTuple[] | null];

/** The command as in pg_policy. */
type PolicyTuple = [name: string, permissive: boolean, command: string, roles: readonly string[], using: string | null];

type LookupTuple = [id: number, name: string, table: number, lookupTable: number, columns: readonly string[], valid: boolean, tables: readonly number[], writtenThrough: readonly number[]];

type ViewTuple = [oid: number, schema: string, name: string, materialized: boolean, sql: string, securityBarrier: boolean, securityInvoker?: boolean];

/** All as text; booleans are `true` and `false`. */
type ColumnTuple = [
  name: string, position: string, typeOid: string, modifier: string, typeSql: string, collation: string | null,
  deterministic: string, notNull: string, identity: string, generated: string, sequence: string | null,
  expression: string | null, volatility: string | null,
];

/** Key columns by position; 0 for an expression. */
type IndexTuple = [name: string, unique: boolean, positions: readonly number[], partial: boolean, tellsRows?: boolean];

/**
 * The metadata as it stands: one round trip; where the schema was never installed, it is installed first. `catalogCorrupt` when
 * it contradicts itself.
 */
export async function loadSnapshot(coordinator: Pick<NodeConnections, 'query' | 'acquire'>, options?: ReadOptions): Promise<CatalogSnapshot> {
  try {
    return await readWhileDropped(coordinator, options);
  } catch (error) {
    if (!isNotInstalled(error)) throw error;
  }
  await installSchema(coordinator, options);
  return readWhileDropped(coordinator, options);
}

/** So many readings may each meet something that is being dropped. */
const readingsMax = 10;

/** PostgreSQL writes a view's query by what its tables are at that moment, and waits for who is changing them: one that was dropped meanwhile is no more, though the statement's snapshot has it. The next reading is of what there is then. */
async function readWhileDropped(coordinator: Pick<NodeConnections, 'query'>, options?: ReadOptions): Promise<CatalogSnapshot> {
  for (let readings = 1; ; readings += 1) {
    try {
      return await readSnapshot(coordinator, options);
    } catch (error) {
      if (!isDropped(error) || readings === readingsMax) throw error;
    }
  }
}

function isDropped(error: unknown): boolean {
  return sqlStateOf(error) === 'XX000' && error instanceof Error && /^(could not open relation with OID|cache lookup failed for) /.test(error.message);
}

function isNotInstalled(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === '3F000' || state === '42883' || state === '42P01';
}

export interface ReadOptions extends CallOptions {
  /** A committed version: tables that have not changed since are taken from it. Where nothing has changed since, all are read. */
  readonly known?: CatalogSnapshot | undefined;
}

/** The metadata as a connection sees it, in a transaction that may have changed it. */
export async function readSnapshot(coordinator: Pick<NodeConnections, 'query'>, { known, signal }: ReadOptions = {}): Promise<CatalogSnapshot> {
  const { rows } = await coordinator.query({ text: catalogDocumentQuery(known?.version) }, { signal });
  const [document, searchPath, settings, databaseSettings] = rows[0] ?? [];
  if (typeof document !== 'string' || typeof searchPath !== 'string' || typeof settings !== 'string' || typeof databaseSettings !== 'string') {
    throw new ClusterError('catalogCorrupt', 'table "shardwright.cluster" is empty');
  }
  const read = documentFromJson(document);
  const kept = keptTables(read, known);
  if (kept === undefined) return readSnapshot(coordinator, { signal });
  return snapshotOf(read, kept, { searchPath, settings, databaseSettings });
}

/** What the coordinator database answered to a look. */
interface PlacementsLook extends Pick<CatalogSnapshot, 'clusterId' | 'version'> {
  /** That version, if it can be told without reading all. */
  readonly snapshot: CatalogSnapshot | undefined;
}

/** The newest version: `known` itself where nothing is newer, or what it has become where only shard groups have come to other nodes since. One round trip, which costs a tenth of `loadSnapshot`. `catalogCorrupt` as there. */
export async function lookForPlacements(coordinator: Pick<NodeConnections, 'query'>, known: CatalogSnapshot): Promise<PlacementsLook> {
  const { rows } = await coordinator.query({ text: placementsQuery(known.version) });
  const [clusterId, version, placements] = rows[0] ?? [];
  const look = { clusterId: clusterId ?? '', version: Number(version) };
  if (look.clusterId !== known.clusterId) return { ...look, snapshot: undefined };
  return { ...look, snapshot: look.version === known.version ? known : typeof placements === 'string' ? movedTo(known, look.version, placements) : undefined };
}

function movedTo(known: CatalogSnapshot, version: number, json: string): CatalogSnapshot {
  const { nodes, groups } = JSON.parse(json) as Pick<CatalogDocument, 'nodes' | 'groups'>;
  const snapshot = { ...known, version, nodes: nodesFrom(nodes), colocationGroups: groupsFrom(groups) };
  checkInvariants(snapshot);
  return snapshot;
}

function documentFromJson(json: string): CatalogDocument {
  return JSON.parse(json) as CatalogDocument;
}

/** Undefined where one is missing: another cluster has taken the database, or went back to an older copy of it. */
function keptTables({ kept, clusterId }: CatalogDocument, known: CatalogSnapshot | undefined): readonly CatalogTable[] | undefined {
  if (kept === null || kept === undefined || kept.length === 0) return [];
  const byOid = new Map([...(known?.tables.values() ?? [])].map((table) => [table.oid, table]));
  const found = kept.flatMap((oid) => byOid.get(oid) ?? []);
  return found.length === kept.length && clusterId === known?.clusterId ? found : undefined;
}

/** The snapshot in the three JSON texts of `catalogDocumentQuery`. `catalogCorrupt` when its invariants do not hold. */
export function snapshotFromJson(documentJson: string, searchPathJson: string, settingsJson = '{}'): CatalogSnapshot {
  return snapshotOf(documentFromJson(documentJson), [], { searchPath: searchPathJson, settings: settingsJson, databaseSettings: settingsJson });
}

/** As JSON. */
interface SessionFacts {
  readonly searchPath: string;
  readonly settings: string;
  readonly databaseSettings: string;
}

function snapshotOf(document: CatalogDocument, kept: readonly CatalogTable[], { searchPath, settings, databaseSettings }: SessionFacts): CatalogSnapshot {
  const read = (document.tables ?? []).map(tableOf);
  const tables = kept.length === 0 ? read : [...kept, ...read].sort((a, b) => a.oid - b.oid);
  const snapshot: CatalogSnapshot = {
    clusterId: document.clusterId,
    version: document.version,
    nodes: nodesFrom(document.nodes),
    colocationGroups: groupsFrom(document.groups),
    distributedSchemas: new Map((document.schemas ?? []).map(([name, colocation]) => [name, colocationId(colocation)])),
    tables: new Map(tables.map((table) => [tableKey(table.schema, table.name), table])),
    dependentViews: new Map((document.views ?? []).map(viewOf).map((view) => [tableKey(view.schema, view.name), view])),
    lookups: (document.lookups ?? []).map(lookupOf),
    server: {
      version: document.serverVersion, searchPath: JSON.parse(searchPath) as string[], defaultCollationIsC: ordersByBytes(document.database),
      sessionSettings: JSON.parse(settings) as Record<string, string>, databaseSettings: JSON.parse(databaseSettings) as Record<string, string>,
    },
  };
  checkInvariants(snapshot);
  return snapshot;
}

function nodesFrom(nodes: CatalogDocument['nodes']): CatalogSnapshot['nodes'] {
  return (nodes ?? []).map(nodeOf);
}

function groupsFrom(groups: CatalogDocument['groups']): CatalogSnapshot['colocationGroups'] {
  return new Map((groups ?? []).map(groupOf).map((group) => [group.id, group]));
}

/** See plan/plan-materialized.ts. */
const fillName = /\bshardwright\.materialized_rows\('(\w+)'::text\)/;

function viewOf([oid, schema, name, materialized, sql, securityBarrier, securityInvoker = false]: ViewTuple): DependentView {
  const fill = materialized ? fillName.exec(sql)?.[1] : undefined;
  return { oid, schema, name, materialized, fill, sql: sql.replace(/;\s*$/, '').trim(), securityBarrier, securityInvoker };
}

function lookupOf([id, name, table, lookupTable, columns, valid, tables, writtenThrough]: LookupTuple): UniqueLookup {
  return { id, name, table, lookupTable, columns, valid, tables: new Set(tables), writtenThrough: new Set(writtenThrough) };
}

function nodeOf([id, host, port, database, hosts, patroni, systemIdentifier, timeline]: NodeTuple): ClusterNode {
  return { id: nodeId(id), host, port, database, ...serversOf({ hosts, patroni, systemIdentifier, timeline }) };
}

function groupOf([id, , hash, distributionType, slices]: GroupTuple): ColocationGroup {
  return { id: colocationId(id), hash, distributionType: distributionType ?? undefined, shardGroups: (slices ?? []).map(shardGroupOf) };
}

function shardGroupOf([id, ordinal, min, max, node]: readonly [number, number, number, number, number]): ShardGroup {
  return { id: shardGroupId(id), ordinal, min, max, node: nodeId(node) };
}

function tableOf(tuple: TableTuple): CatalogTable {
  const [oid, schema, name, kind, position, colocation, ids, columnTuples, indexTuples, constraints, rowSecurity = false, rowTriggers = false, partitioned = false, security = null, shellIsCopy = false] = tuple;
  const columns = (columnTuples ?? []).map(columnOf);
  const base = { oid, schema, name, columns, indexes: (indexTuples ?? []).map((index) => indexOf(index, columns)), constraints: constraints ?? [], rowSecurity, rowTriggers, partitioned, security: security === null ? undefined : securityOf(security) };
  const shardIds = (ids ?? []).map(shardId);
  if (kind === 'reference') {
    const only = shardIds[0];
    if (only === undefined || shardIds.length > 1) throw corruptTable(schema, name, 'must have one shard');
    return { ...base, kind, shardId: only, shellIsCopy };
  }
  const distributionColumn = position === null ? undefined : columns.find((column) => column.position === position);
  if ((position !== null && distributionColumn === undefined) || colocation === null) throw corruptTable(schema, name, 'lost its distribution column');
  return { ...base, kind, distributionColumn, colocationId: colocationId(colocation), shardIds };
}

function securityOf([owner, forced, policies]: SecurityTuple): RowSecurity {
  return { owner, forced, policies: (policies ?? []).map(policyOf) };
}

function policyOf([name, permissive, command, roles, using]: PolicyTuple): Policy {
  const commands = { '*': 'all', r: 'select', a: 'insert', w: 'update', d: 'delete' } as const;
  const known = Object.entries(commands).find(([letter]) => letter === command)?.[1] ?? 'all';
  return { name, permissive, command: known, roles, using: using ?? undefined };
}

function corruptTable(schema: string, table: string, what: string): ClusterError {
  return new ClusterError('catalogCorrupt', `table "${schema}.${table}" ${what}`, { schema, table });
}

function columnOf(tuple: ColumnTuple): Column {
  const [name, position, oid, modifier, sql, collation, deterministic, notNull, identity, generated] = tuple;
  return {
    name,
    position: Number(position),
    type: { oid: Number(oid), modifier: Number(modifier), sql },
    collation: collation ?? undefined,
    deterministic: deterministic === 'true',
    notNull: notNull === 'true',
    identity: identity === 'a' ? 'always' : identity === 'd' ? 'by_default' : 'none',
    generated: generated === 'true',
    default: defaultOf(tuple),
  };
}

function defaultOf([, , , , , , , , , , sequence, sql, volatility]: ColumnTuple): ColumnDefault | undefined {
  if (sequence !== null) return { kind: 'sequence', sequence };
  if (sql === null) return undefined;
  return { kind: 'expression', sql, volatility: volatility === 'i' ? 'immutable' : volatility === 's' ? 'stable' : 'volatile', ...(namesRelation.test(sql) ? { ofCoordinator: true } : {}) };
}

/** As PostgreSQL writes expressions. More than those that shards have no default for: they are computed where relations are, all the same. */
const namesRelation = /\b(?:nextval|setval|currval|lastval)\(|::regclass\b/;

function indexOf([name, unique, positions, partial, tellsRows = false]: IndexTuple, columns: readonly Column[]): TableIndex {
  const names = positions.map((position) => columns.find((column) => column.position === position)?.name);
  return { name, unique, columns: names, partial, tellsRows };
}

/** The built-in provider (17 and newer) has only locales that order by code point. */
function ordersByBytes(database: Readonly<Record<string, unknown>>): boolean {
  const { datlocprovider: provider, datcollate: locale } = database;
  if (provider === 'b') return true;
  return provider === 'c' && typeof locale === 'string' && ['c', 'posix', 'c.utf-8', 'c.utf8'].includes(locale.toLowerCase());
}

import type { UniqueLookup } from './unique-lookup.ts';
import type { ColocationId, NodeId, ShardGroupId, ShardId } from './ids.ts';

/** `postgres`: as the server's own hash functions compute. `murmur3`: of the canonical text, seed 0. */
export type HashFamily = 'postgres' | 'murmur3';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ClusterNode extends ServerAddress {
  readonly id: NodeId;
  readonly database: string;
  /** Where its servers may be, a primary and its replicas, where there are several: `host` and `port` are the first. */
  readonly hosts?: readonly ServerAddress[] | undefined;
  /** URLs of a Patroni REST interface that tells of its servers. */
  readonly patroni?: readonly string[] | undefined;
  /** Of its servers, where it has several. */
  readonly systemIdentifier?: string | undefined;
  /** The newest that a primary of it was seen on, where it has several servers. */
  readonly timeline?: number | undefined;
}

/** A type as the coordinator database knows it. */
export interface ColumnType {
  /** OID in the coordinator database; user-defined types have others on the nodes. */
  readonly oid: number;
  /** Modifier as in pg_attribute.atttypmod, -1 when there is none. */
  readonly modifier: number;
  /** Schema-qualified, quoted, with modifier: `bigint`, `numeric(10,2)`, `public.mood`. Fit for a cast. */
  readonly sql: string;
}

export type ColumnDefault =
  /** `nextval` of a sequence in the coordinator database: serial or identity. `sequence` is qualified and quoted. */
  | { readonly kind: 'sequence'; readonly sequence: string }
  /** Any other expression; `volatile` when two evaluations in one transaction may differ. */
  | {
    readonly kind: 'expression';
    readonly sql: string;
    readonly volatility: 'immutable' | 'stable' | 'volatile';
    /** It names a sequence, or another relation, in the coordinator database (`'no. ' || nextval('numbers')`): shards have no such default. */
    readonly ofCoordinator?: true;
  };

/** Whether only the coordinator database can give the default's values. */
export function isOfCoordinator(value: ColumnDefault | undefined): boolean {
  return value !== undefined && (value.kind === 'sequence' || value.ofCoordinator === true);
}

export interface Column {
  readonly name: string;
  /** attnum: 1-based, with gaps where columns were dropped. */
  readonly position: number;
  readonly type: ColumnType;
  /** Schema-qualified and quoted; undefined when the type has none or it is the database's default. */
  readonly collation: string | undefined;
  /** False only for nondeterministic collations, where equal does not mean identical. */
  readonly deterministic: boolean;
  readonly notNull: boolean;
  readonly identity: 'none' | 'always' | 'by_default';
  readonly generated: boolean;
  readonly default: ColumnDefault | undefined;
}

export interface TableIndex {
  readonly name: string;
  /** At any time: not that of a constraint which is deferrable. */
  readonly unique: boolean;
  /** Column names in order; undefined for an expression. INCLUDE columns are not listed. */
  readonly columns: readonly (string | undefined)[];
  readonly partial: boolean;
  /** Whether no two rows have values that the columns' own `=` takes for the same, at any moment. Not where it is partial, deferrable, or has another collation or operator class. */
  readonly tellsRows: boolean;
}

/** A policy of row security; PostgreSQL's words for it. */
export interface Policy {
  readonly name: string;
  /** Else it is restrictive. */
  readonly permissive: boolean;
  readonly command: 'all' | 'select' | 'insert' | 'update' | 'delete';
  /** Names of roles; empty for PUBLIC. */
  readonly roles: readonly string[];
  /** Its USING, where every name that is not of `pg_catalog` is qualified. */
  readonly using: string | undefined;
}

/** Of a table that has row security. */
export interface RowSecurity {
  readonly owner: string;
  /** FORCE: for its owner, too. */
  readonly forced: boolean;
  readonly policies: readonly Policy[];
}

interface TableBase {
  /** OID of the shell in the coordinator database. */
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
  readonly indexes: readonly TableIndex[];
  /** Names of all constraints, for telling a shard's names back. */
  readonly constraints: readonly string[];
  /** Whether policies say which rows a role sees and writes. */
  readonly rowSecurity: boolean;
  /** Who is subject to policies, and to which; undefined where there are none to look at. */
  readonly security?: RowSecurity | undefined;
  /** Whether triggers of the user's run for its rows, its own or those of its partitions. */
  readonly rowTriggers: boolean;
  /** Whether its rows are in partitions, which are distributed tables of their own. */
  readonly partitioned: boolean;
}

export interface DistributedTable extends TableBase {
  readonly kind: 'distributed';
  /** Undefined for a single-shard table: its one shard has all of its rows, and its colocation group one shard group. */
  readonly distributionColumn: Column | undefined;
  readonly colocationId: ColocationId;
  /** In the order of the colocation group's shard groups: `shardIds[i]` belongs to `shardGroups[i]`. */
  readonly shardIds: readonly ShardId[];
}

export interface ReferenceTable extends TableBase {
  readonly kind: 'reference';
  /** One shard, placed on every node. */
  readonly shardId: ShardId;
  /** Local tables refer to it, so its shell is one more of its copies: it has all rows, and is written with the others. */
  readonly shellIsCopy: boolean;
}

export type CatalogTable = DistributedTable | ReferenceTable;

/** A slice of the hash space, `min` and `max` inclusive int32, on one node. */
export interface ShardGroup {
  readonly id: ShardGroupId;
  /** Position in its colocation group, from 0, in order of `min`. */
  readonly ordinal: number;
  readonly min: number;
  readonly max: number;
  readonly node: NodeId;
}

export interface ColocationGroup {
  readonly id: ColocationId;
  readonly hash: HashFamily;
  /** Type of the distribution columns, without modifier: `bigint`, `text`. Undefined for a group of single-shard tables. */
  readonly distributionType: string | undefined;
  /** In order of `min`; they tile int32 without gap or overlap. */
  readonly shardGroups: readonly ShardGroup[];
}

/** A view of the coordinator database that reads, directly or not, a distributed or reference table. */
export interface DependentView {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly materialized: boolean;
  /** Of a materialized view that the cluster fills: what its rows are called while they come in. It is read as a local table. */
  readonly fill: string | undefined;
  /** Its query. Every name in it that is not of `pg_catalog` is qualified. */
  readonly sql: string;
  /** WITH (security_barrier): its own conditions come before any other. */
  readonly securityBarrier: boolean;
  /** WITH (security_invoker): it reads with the rights of the role that queries, not of its owner. */
  readonly securityInvoker: boolean;
}

/**
 * The metadata at one version: an immutable value. One statement reads one snapshot.
 * Lookups are O(1); a new version is a new value.
 */
export interface CatalogSnapshot {
  readonly clusterId: string;
  readonly version: number;
  /** In order of id. */
  readonly nodes: readonly ClusterNode[];
  readonly colocationGroups: ReadonlyMap<ColocationId, ColocationGroup>;
  /** Schemas whose tables are single-shard tables, by name: the colocation group that is for each of them alone. */
  readonly distributedSchemas: ReadonlyMap<string, ColocationId>;
  /** Keys as `tableKey` makes them. */
  readonly tables: ReadonlyMap<string, CatalogTable>;
  /** By keys as `tableKey` makes them. */
  readonly dependentViews: ReadonlyMap<string, DependentView>;
  /** In order of id. */
  readonly lookups: readonly UniqueLookup[];
  readonly server: ServerFacts;
}

/** What planning needs to know of the coordinator database. */
export interface ServerFacts {
  /** server_version_num, such as 180004. */
  readonly version: number;
  /** The search path of a new session, `$user` resolved; `pg_catalog` is implied first. */
  readonly searchPath: readonly string[];
  /** Whether the database's default collation orders text by its UTF-8 bytes (`C`, `POSIX`, `C.UTF-8`, `ucs_basic`). */
  readonly defaultCollationIsC: boolean;
  /** Settings with which a new session of the cluster's own user begins there, where its text or meaning depends on them: `TimeZone`, what ALTER DATABASE set … */
  readonly sessionSettings: Readonly<Record<string, string>>;
  /** The same without what ALTER ROLE says of the cluster's own user: those with which anybody's session begins. */
  readonly databaseSettings: Readonly<Record<string, string>>;
}

/** One key for a qualified name: unambiguous, since `"` cannot occur unescaped. */
export function tableKey(schema: string, name: string): string {
  return `${schema.length}.${schema}.${name}`;
}

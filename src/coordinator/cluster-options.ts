import type { ClientConfig, PoolConfig } from 'pg';
import type { RowEstimate } from '../plan/staged/statistics.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import type { ReadOptions } from '../session/read-options.ts';
import type { OnBackgroundError } from './background-tasks.ts';
import type { Finishing } from '../plan/select/select-context.ts';

/**
 * Options of `new Cluster`: those of pg.Pool for the coordinator database, which also serve as defaults for the nodes (user, password, TLS),
 * and what a cluster needs beyond.
 */
export interface ClusterOptions extends PoolConfig, Omit<ReadOptions, 'token'> {
  /** Credentials and TLS of a node, where they differ from the coordinator database's. Passwords are never stored in the catalog. */
  readonly nodeConfig?: ((node: Pick<ClusterNode, 'host' | 'port' | 'database'>) => ClientConfig) | undefined;
  /** Exclusive connections per node (transactions, scans, streams, COPY), at most: 10 by default, or `max` if that is more. */
  readonly exclusivePerNode?: number | undefined;
  /** Connections per node that statements outside transactions share: 3 by default. */
  readonly sharedPerNode?: number | undefined;
  /**
   * Statements with values that each connection to a node prepares by itself since they are repeated, at most: 256 by default; 0 for none. As with any prepared statement, the server may
   * come to use one plan for all values.
   */
  readonly repeatedPerConnection?: number | undefined;
  /** Connections that one statement may use on one node: 2 by default. */
  readonly connectionsPerStatement?: number | undefined;
  /** Addresses of the coordinator database's servers, where it has several: a primary and its replicas. A `connectionString` may name them, too: `postgres://app@one:5432,two:5432/app`. One alone is a name that stands for the primary, whichever that is. */
  readonly hosts?: readonly { readonly host: string; readonly port?: number | undefined }[] | undefined;
  /**
   * URLs of the REST interface of Patroni, which tells of the coordinator database's servers: `new Cluster({ patroni: ['http://a:8008', 'http://b:8008'], user: 'app', database: 'app' })`. It is asked when the cluster is first used, and every ten seconds. `hosts`, or a `host`, that
   * are given besides are servers as well, for when no Patroni answers.
   */
  readonly patroni?: string | readonly string[] | undefined;
  /**
   * Milliseconds that a statement which has not run waits for a new primary, on nodes that have several servers: 10 000 by default. It is `nodeUnreachable`, or what the statement failed with, beyond. With 0 nothing waits.
   */
  readonly failoverTimeoutMs?: number | undefined;
  /** Milliseconds until an unanswered connection attempt is `nodeUnreachable`: 5 000 by default. */
  readonly connectTimeoutMs?: number | undefined;
  /** Bytes that one intermediate result, or the rows gathered for a statement's last step, may have: 1 GiB by default. `resultTooLarge` beyond. */
  readonly maxIntermediateBytes?: number | undefined;
  /**
   * Milliseconds that one statement may take over all servers, waiting included: no limit by default, as with 0. `canceled` beyond, in the
   * words and with the SQLSTATE of `statement_timeout`. Of a stream, each batch of rows may take this long.
   */
  readonly statementTimeoutMs?: number | undefined;
  /**
   * About how many milliseconds pass between two looks for what processes that died in a commit have left: 60 000 by default; 0 for never, then call `recover()`. Of all
   * processes one looks at a time.
   */
  readonly recoveryIntervalMs?: number | undefined;
  /**
   * Hears of what a `Cluster` does of itself, such as recovery, when it has failed three times in a row; once, until it has gone well. It goes on trying. By default it is a warning of
   * the process, which Node prints.
   */
  readonly onBackgroundError?: OnBackgroundError | undefined;
  /**
   * Milliseconds that a change of definitions waits for its locks on the servers, since it holds up other statements meanwhile: 2 000 by default; 0 for no limit. Then it gives up what it
   * has; outside of transaction blocks it tries again, five times in all, with pauses between. `lockNotAvailable` (55P03) beyond. A session's own `lock_timeout` counts for it as well.
   */
  readonly ddlLockTimeoutMs?: number | undefined;
  /**
   * Whether `CREATE SCHEMA` makes distributed schemas, as `createDistributedSchema` does: false by default. A session's own `citus.enable_schema_based_sharding` says more.
   */
  readonly enableSchemaBasedSharding?: boolean | undefined;
  /**
   * Whether what writes gives a `readToken` with its result, and clients have one after COMMIT: false by default. In `withReadYourWrites`, and in sessions that read on replicas, they are collected anyway. No round trip more; only of nodes with replicas.
   */
  readonly readTokens?: boolean | undefined;
  /** Signs read tokens, and refuses those that are not: for tokens that pass through hands that are not trusted, such as cookies. All processes need the same. */
  readonly readTokenSecret?: string | undefined;
  /** For tests. */
  readonly tuning?: ClusterTuning | undefined;
}

export interface ClusterTuning {
  /** Rows per batch in merges. */
  readonly batchRows?: number | undefined;
  readonly exclusivePerNode?: number | undefined;
  /** Whether aggregates read a node's shard groups as one wherever they can. */
  readonly unite?: boolean | undefined;
  /** Queries that the nodes' planners think dearer are run shard by shard. */
  readonly lookupCostMax?: number | undefined;
  /** `server`: merges are finished by the coordinator database even where the application could. */
  readonly finishing?: Finishing | undefined;
  /** Rows of an intermediate result that travel as parameters at most; more are copied into temporary tables. */
  readonly arrayRowsMax?: number | undefined;
  /** What the planner believes instead of an estimate of rows and their bytes. */
  readonly adjustEstimate?: ((estimate: RowEstimate) => RowEstimate) | undefined;
}

export const defaultIntermediateBytes = 2 ** 30;
export const recoveryIntervalMsDefault = 60_000;
export const ddlLockTimeoutMsDefault = 2_000;
export const failoverTimeoutMsDefault = 10_000;

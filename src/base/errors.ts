/**
 * The catalogue of errors that this library raises itself. `docs/errors.md` is generated from it.
 * A node's own error is not in here: it passes through whole (see `cluster/translate-error.ts`).
 */
export const errorCatalogue = {
  unsupportedQuery: { number: 'SW001', sqlState: '0A000', transient: false, about: 'The statement has no distributed plan yet. The detail names the construct, the hint a way out.' },
  unsupportedDdl: { number: 'SW002', sqlState: '0A000', transient: false, about: 'The definition change cannot be carried to the shards yet.' },
  unsupportedWrite: { number: 'SW003', sqlState: '0A000', transient: false, about: 'The write cannot be done atomically on all the nodes it would touch.' },
  unsupportedTable: { number: 'SW004', sqlState: '0A000', transient: false, about: 'The table has a property that its shards could not keep.' },
  unsupportedNode: { number: 'SW005', sqlState: '55000', transient: false, about: 'The server lacks a setting, a version or a right that a node needs. The hint says which and how to set it.' },
  nodeUnreachable: { number: 'SW006', sqlState: '08001', transient: true, about: 'No connection to a node within the connect timeout, or it was lost before the statement could run; no primary among its servers within failoverTimeoutMs. Queries for other nodes go on.' },
  connectionLost: { number: 'SW007', sqlState: '08006', transient: true, about: 'The connection to a node broke while a statement ran there.' },
  outcomeUnknown: { number: 'SW008', sqlState: '08007', transient: false, about: 'The connection broke during COMMIT: the transaction may or may not have committed. `cluster.outcomeOf(error.transactionId)` tells which.' },
  coordinatorUnreachable: { number: 'SW009', sqlState: '08001', transient: true, about: 'The coordinator database does not answer. Plans already cached still run.' },
  distributionValueMissing: { number: 'SW010', sqlState: '23502', transient: false, about: 'A row has NULL or no value in the distribution column.' },
  distributionValueInvalid: { number: 'SW011', sqlState: '22P02', transient: false, about: 'The value cannot be read as the type of the distribution column.' },
  alreadyDistributed: { number: 'SW012', sqlState: '42P16', transient: false, about: 'The table is distributed or a reference table already.' },
  notDistributed: { number: 'SW013', sqlState: '42P16', transient: false, about: 'The table is neither distributed nor a reference table.' },
  undefinedTable: { number: 'SW014', sqlState: '42P01', transient: false, about: 'No such table in the coordinator database.' },
  undefinedColumn: { number: 'SW015', sqlState: '42703', transient: false, about: 'No such column.' },
  nodeExists: { number: 'SW016', sqlState: '42710', transient: false, about: 'The node is in the cluster already.' },
  nodeOfAnotherCluster: { number: 'SW017', sqlState: '42710', transient: false, about: 'The server stores shards of another cluster.' },
  undefinedNode: { number: 'SW018', sqlState: '42704', transient: false, about: 'No such node in the cluster.' },
  nodeInUse: { number: 'SW019', sqlState: '55006', transient: false, about: 'The node still holds shards.' },
  noNodes: { number: 'SW020', sqlState: '55000', transient: false, about: 'The cluster has no node that could hold shards.' },
  invalidParameter: { number: 'SW021', sqlState: '22023', transient: false, about: 'An argument of a call is not acceptable.' },
  canceled: { number: 'SW022', sqlState: '57014', transient: false, about: 'The call was aborted by its AbortSignal or took longer than statementTimeoutMs; the servers were told to cancel.' },
  poolTimeout: { number: 'SW023', sqlState: '53300', transient: true, about: 'No connection of the node became free in time, or its queue is full.' },
  resultTooLarge: { number: 'SW024', sqlState: '54000', transient: false, about: 'An intermediate result exceeds its limit. The detail names it and the setting.' },
  badCopyData: { number: 'SW025', sqlState: '22P04', transient: false, about: 'COPY data could not be read; nothing of that COPY is kept. The context has the line.' },
  clusterClosed: { number: 'SW026', sqlState: '57P01', transient: false, about: 'The cluster object was ended.' },
  shardMissing: { number: 'SW027', sqlState: '42P01', transient: true, about: 'A shard is not where the catalog says; the catalog is read again and the statement retried once.' },
  catalogCorrupt: { number: 'SW028', sqlState: 'XX001', transient: false, about: 'The metadata in the coordinator database contradicts itself.' },
  syntaxError: { number: 'SW029', sqlState: '42601', transient: false, about: 'PostgreSQL\'s grammar does not accept the statement.' },
  duplicatePreparedStatement: { number: 'SW030', sqlState: '42P05', transient: false, about: 'A statement name was used for another text before.' },
  transactionAborted: { number: 'SW031', sqlState: '25P02', transient: false, about: 'The transaction is aborted; commands are ignored until its end.' },
  numericOverflow: { number: 'SW032', sqlState: '22003', transient: false, about: 'A combined aggregate is out of the range of its type.' },
  cardinalityViolation: { number: 'SW034', sqlState: '21000', transient: false, about: 'A subquery used as an expression returned more than one row. In PostgreSQL\'s words.' },
  deadlockDetected: { number: 'SW035', sqlState: '40P01', transient: true, about: 'Transactions waited for each other on different nodes; this one, the youngest, was given up.' },
  overtaken: { number: 'SW036', sqlState: '40001', transient: true, about: 'Recovery took the transaction for one of a process that is gone, and rolled it back before it could commit.' },
  unknownTransaction: { number: 'SW038', sqlState: '42704', transient: false, about: 'Nothing is known of the transaction that was asked about: its id is of another cluster, or nothing of it is left.' },
  snapshotUnavailable: { number: 'SW037', sqlState: '55P03', transient: true, about: 'A consistent snapshot was not to be had in time, or does not reach a node that was added after it.' },
  lockNotAvailable: { number: 'SW039', sqlState: '55P03', transient: true, about: 'A change of definitions did not get its locks within ddlLockTimeoutMs, and was given up everywhere.' },
  concurrentWrites: { number: 'SW040', sqlState: '40001', transient: true, about: 'A write to a reference table found other rows in one of its copies than in another, since somebody else was writing to it. Nothing of the transaction was committed; it may be tried again.' },
  moveRefused: { number: 'SW050', sqlState: '55000', transient: false, about: 'The shard group cannot be moved, split or merged now, the table not distributed online, or reference tables not be copied to a new node. Nothing was changed. The detail has all the reasons.' },
  moveInProgress: { number: 'SW051', sqlState: '55006', transient: true, about: 'The shard group is being moved, split or merged, or the table distributed, or what is asked for would disturb that.' },
  moveUndone: { number: 'SW052', sqlState: '55000', transient: true, about: 'A move, split or merge, or the distribution of a table that is in use, was given up and undone, or a node not added; the shard group or table is where and what it was. The cause says why.' },
  unknownJob: { number: 'SW053', sqlState: '42704', transient: false, about: 'No such job, or it is over.' },
  copyDiffers: { number: 'SW056', sqlState: 'XX001', transient: false, about: 'A copy that a move has made was not what it was made of. The move was undone; the shard group is where it was. The detail has the keys.' },
  rebalanceIncomplete: { number: 'SW060', sqlState: '55000', transient: true, about: 'Some moves of a rebalance failed; the others were made. The detail says which and why.' },
  rebalanceInProgress: { number: 'SW061', sqlState: '55006', transient: true, about: 'A rebalance is under way already. `cluster.rebalances()` shows it.' },
  adoptionRefused: { number: 'SW080', sqlState: '55000', transient: false, about: 'Citus\'s tables cannot be taken over, or given back. Nothing was changed. The detail has all the reasons.' },
  feedLost: { number: 'SW070', sqlState: '55000', transient: false, about: 'A change feed cannot go on: a slot of it is gone, or kept more than it may. Drop the feed, and begin it again with a snapshot.' },
  feedInUse: { number: 'SW071', sqlState: '55006', transient: true, about: 'Another process reads the change feed, or is making or dropping it.' },
  unknownFeed: { number: 'SW072', sqlState: '42704', transient: false, about: 'No such change feed.' },
  tableInFeed: { number: 'SW073', sqlState: '55006', transient: false, about: 'A change feed reads the table, which therefore cannot be dropped or distributed anew.' },
  writeOutcomeUnknown: { number: 'SW090', sqlState: '08007', transient: false, about: 'The connection broke while a write outside of a transaction block ran, on a node of several servers: it may or may not have been done.' },
  transactionLost: { number: 'SW091', sqlState: '40001', transient: true, about: 'The primary of a node was lost while a transaction was open: nothing of it was committed. The same transaction may be tried again.' },
  switchoverFailed: { number: 'SW092', sqlState: '55000', transient: true, about: 'No other server of the node came to be its primary in a planned switchover. The cause says why; the node is used as before.' },
  noReplica: { number: 'SW093', sqlState: '55000', transient: true, about: 'A query that may read on replicas only found none, of a node with several servers, within its limits of lag.' },
  duplicateKeys: { number: 'SW110', sqlState: '23505', transient: false, about: 'Rows have equal keys, so a unique lookup cannot be made; nothing of it is left. The detail has the keys.' },
  tableHasLookup: { number: 'SW111', sqlState: '2BP01', transient: false, about: 'A unique lookup of the table does not allow a change of it. `cluster.dropUniqueLookup()` drops the lookup.' },
  unknownLookup: { number: 'SW112', sqlState: '42704', transient: false, about: 'The table has no unique lookup of these columns.' },
  embeddedServer: { number: 'SW033', sqlState: '58000', transient: false, about: 'An embedded PostgreSQL server is not installed, or did not start. The detail has the end of its log.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorId = keyof typeof errorCatalogue;

interface ErrorEntry {
  readonly number: string;
  readonly sqlState: string;
  readonly transient: boolean;
  readonly about: string;
}

export interface ErrorFields {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly where?: string | undefined;
  readonly position?: string | undefined;
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly constraint?: string | undefined;
  readonly transactionId?: string | undefined;
  readonly cause?: unknown;
  /** Another SQLSTATE than the catalogue's, where PostgreSQL distinguishes further. */
  readonly sqlState?: string | undefined;
}

/**
 * Every error this library raises itself, shaped like pg's `DatabaseError`: `code` is the SQLSTATE, `detail`, `hint`,
 * `where`, `position`, `schema`, `table`, `column` and `constraint` as PostgreSQL would fill them.
 */
export class ClusterError extends Error {
  override readonly name = 'ClusterError';
  readonly severity = 'ERROR';
  readonly code: string;
  /** The catalogue's number, such as `SW001`; stable across versions. */
  readonly number: string;
  /** Whether the same call may succeed when it is tried again. */
  readonly transient: boolean;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly where: string | undefined;
  readonly position: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly constraint: string | undefined;
  /** Of `outcomeUnknown`: the transaction whose outcome it is, for `cluster.outcomeOf`. */
  readonly transactionId: string | undefined;

  constructor(
    readonly id: ErrorId,
    message: string,
    fields: ErrorFields = {},
  ) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    const entry = errorCatalogue[id];
    this.code = fields.sqlState ?? entry.sqlState;
    this.number = entry.number;
    this.transient = entry.transient;
    this.detail = fields.detail;
    this.hint = fields.hint;
    this.where = fields.where;
    this.position = fields.position;
    this.schema = fields.schema;
    this.table = fields.table;
    this.column = fields.column;
    this.constraint = fields.constraint;
    this.transactionId = fields.transactionId;
  }
}

/** The SQLSTATE of any error that has one: pg's, ours, or Node's (`ECONNREFUSED`). */
export function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

import { present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { HashFamily } from '../catalog/catalog-snapshot.ts';
import { nodeId, type NodeId, shardGroupId, type ShardGroupId, type ShardId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, NodeConnections, RawRow } from '../cluster/node-connection.ts';
import { withSchema } from './install.ts';

/** The coordinator database, or a connection to it in a transaction. */
type Coordinator = Pick<NodeConnections, 'query'>;

/** `move`: one shard group to another node. `split`: one becomes several. `merge`: several become one. `add_node`: a server comes to be a node, with a copy of every reference table. `distribute`: a local table gets shards. */
export type JobKind = (typeof jobKinds)[number];
const jobKinds = ['move', 'split', 'merge', 'add_node', 'distribute'] as const;

/** Stands for all reference tables where a job has shard groups. No shard group has this id. */
export const referenceTables = shardGroupId(0);

/** A slice of the hash space on a node: `min` and `max` are inclusive int32. */
export interface JobGroup {
  readonly group: ShardGroupId;
  readonly node: NodeId;
  readonly min: number;
  readonly max: number;
}

export interface JobTarget extends JobGroup {
  /** Ids of the shards by the OID of their table; undefined where they keep those that they have. */
  readonly shards?: Readonly<Record<string, ShardId>> | undefined;
}

/** A table of the coordinator database that is distributed while it is written to. */
export interface DistributedTable {
  readonly oid: number;
  /** As it was called when the job began. */
  readonly schema: string;
  readonly name: string;
  /** Name of the distribution column; undefined of a single-shard table. */
  readonly column?: string | undefined;
  /** Of the colocation group, as the next two. */
  readonly hash: HashFamily;
  /** Undefined where the tables have no distribution column. */
  readonly type?: string | undefined;
  /** Of a group that does not exist yet, and is made by the job: with the targets as its shard groups. */
  readonly newGroup?: { readonly joinableByDefault: boolean } | undefined;
}

/** A job as it is stored. `state` is the folder `move`'s to understand. */
export interface StoredJob {
  /** A bigint's text. */
  readonly id: string;
  readonly kind: JobKind;
  readonly state: string;
  /** In order of `min`. Their hashes are those of the targets together. Of a table that is distributed: one with all hashes on the coordinator database's node, under the first target's id. */
  readonly sources: readonly JobGroup[];
  readonly targets: readonly JobTarget[];
  /** Of kind `distribute`. */
  readonly distributed?: DistributedTable | undefined;
  readonly options: Readonly<Record<string, unknown>>;
  readonly progress: Readonly<Record<string, unknown>>;
  readonly definitions: string | undefined;
  readonly cancelRequested: boolean;
  readonly error: string | undefined;
  readonly createdAt: Date;
  readonly changedAt: Date;
}

/** Something on a node that a job has made, or is about to make. */
export interface JobObject {
  readonly node: NodeId;
  readonly kind: 'slot' | 'publication' | 'replica_identity' | 'schema' | 'node';
  /** As it stands in SQL, but for slots; of a replica identity: the table's OID; of a node: the cluster's id. */
  readonly name: string;
  /** Of a replica identity: what it was. Of a node: what was made there, as JSON. */
  readonly detail: string | undefined;
}

const columns = `job_id, kind, state, sources, targets, distributed, options, progress, definitions, cancel_requested, error,
  extract(epoch FROM created_at) * 1000, extract(epoch FROM changed_at) * 1000`;

export type NewJob = Pick<StoredJob, 'kind' | 'state' | 'sources' | 'targets' | 'distributed' | 'options'>;

/** `moveInProgress` when one of the shard groups has a job that is not over. */
export async function insertJob(coordinator: Coordinator & Pick<NodeConnections, 'acquire'>, job: NewJob, options?: CallOptions): Promise<string> {
  return withSchema(coordinator, () => insertJobIn(coordinator, job, options), options);
}

/** The same in a transaction, whose database must have the newest schema. */
export async function insertJobIn(coordinator: Coordinator, job: NewJob, options?: CallOptions): Promise<string> {
  const text = `
    WITH made AS (INSERT INTO shardwright.job (kind, state, sources, targets, distributed, options) VALUES ($1, $2, $3, $4, $5, $6) RETURNING job_id),
    taken AS (INSERT INTO shardwright.job_shard_group SELECT shard_group_id, job_id FROM made, unnest($7::integer[]) AS shard_group_id)
    SELECT job_id FROM made`;
  const groups = [...new Set([...job.sources, ...job.targets].map(({ group }) => group))];
  const values = [job.kind, job.state, JSON.stringify(job.sources), JSON.stringify(job.targets), job.distributed === undefined ? null : JSON.stringify(job.distributed), JSON.stringify(job.options), `{${groups.join(',')}}`];
  try {
    const { rows } = await coordinator.query({ text, values }, options);
    return present(rows[0]?.[0] ?? undefined, 'job id');
  } catch (error) {
    if (sqlStateOf(error) !== '23505') throw error;
    const which = job.kind === 'add_node' ? 'another node is being added' : `shard group ${(job.kind === 'distribute' ? job.targets : job.sources).map(({ group }) => group).join(' or ')} is being moved already`;
    throw new ClusterError('moveInProgress', which, { hint: 'cluster.jobs() lists what is under way.', cause: error });
  }
}

/** In order of id; those that are over too, or not. Of kinds that this version knows: others are left to the newer one that made them. */
export async function listJobs(coordinator: Coordinator & Pick<NodeConnections, 'acquire'>, which: 'all' | 'unfinished', options?: CallOptions): Promise<StoredJob[]> {
  const text = `SELECT ${columns} FROM shardwright.job WHERE kind IN ('${jobKinds.join(`', '`)}') ${which === 'all' ? '' : `AND state NOT IN ('done', 'undone')`} ORDER BY job_id`;
  const { rows } = await withSchema(coordinator, () => coordinator.query({ text }, options), options);
  return rows.map(jobOf);
}

/** `unknownJob`; `moveInProgress` when it is of a kind that this version does not know. */
export async function readJob(coordinator: Coordinator, id: string, options?: CallOptions): Promise<StoredJob> {
  const { rows } = await coordinator.query({ text: `SELECT ${columns} FROM shardwright.job WHERE job_id = $1`, values: [id] }, options);
  const [row] = rows;
  if (row === undefined) throw unknownJob(id);
  return jobOf(row);
}

/** Compare-and-set: false when the job is not in state `from`. One that is over lets its shard groups go. */
export async function changeState(coordinator: Coordinator, job: { readonly id: string; readonly from: string; readonly to: string; readonly error?: string | undefined }): Promise<boolean> {
  const text = `
    WITH changed AS (
      UPDATE shardwright.job SET state = $3, error = coalesce($4, error), changed_at = clock_timestamp() WHERE job_id = $1 AND state = $2 RETURNING job_id, state),
    let_go AS (DELETE FROM shardwright.job_shard_group g USING changed c WHERE g.job_id = c.job_id AND c.state IN ('done', 'undone'))
    SELECT job_id FROM changed`;
  const { rows } = await coordinator.query({ text, values: [job.id, job.from, job.to, job.error ?? null] });
  return rows.length === 1;
}

/** Lets the shard groups of a job go, which is not over, but has nothing to do with them any more. */
export async function letGroupsGo(coordinator: Coordinator, id: string): Promise<void> {
  await coordinator.query({ text: 'DELETE FROM shardwright.job_shard_group WHERE job_id = $1', values: [id] });
}

export async function storeDefinitions(coordinator: Coordinator, id: string, definitions: string): Promise<void> {
  await coordinator.query({ text: 'UPDATE shardwright.job SET definitions = $2 WHERE job_id = $1', values: [id, definitions] });
}

/** Of its servers, when the copy is begun. */
export async function storeTimelines(coordinator: Coordinator, id: string, timelines: Readonly<Record<string, number>>): Promise<void> {
  await coordinator.query({ text: `UPDATE shardwright.job SET options = options || pg_catalog.jsonb_build_object('timelines', $2::jsonb) WHERE job_id = $1`, values: [id, JSON.stringify(timelines)] });
}

/** Returns whether the job is to be cancelled. */
export async function storeProgress(coordinator: Coordinator, id: string, progress: object): Promise<boolean> {
  const text = 'UPDATE shardwright.job SET progress = progress || $2 WHERE job_id = $1 RETURNING cancel_requested';
  const { rows } = await coordinator.query({ text, values: [id, JSON.stringify(progress)] });
  return rows[0]?.[0] === 't';
}

/** Asks whoever works on the job to undo it. `unknownJob` when it is over. */
export async function requestCancel(coordinator: Coordinator, id: string, options?: CallOptions): Promise<void> {
  const text = `UPDATE shardwright.job SET cancel_requested = true WHERE job_id = $1 AND state NOT IN ('done', 'undone')`;
  const { rowCount } = await coordinator.query({ text, values: [id] }, options);
  if (rowCount !== 1) throw unknownJob(id);
}

/** Writes down what is about to be made. What is there already stays as it was written first. */
export async function registerObjects(coordinator: Coordinator, id: string, objects: readonly JobObject[]): Promise<void> {
  const text = `INSERT INTO shardwright.job_object (job_id, node_id, kind, name, detail)
    SELECT $1, o.node, o.kind, o.name, o.detail FROM jsonb_to_recordset($2) AS o (node integer, kind text, name text, detail text) ON CONFLICT DO NOTHING`;
  await coordinator.query({ text, values: [id, JSON.stringify(objects)] });
}

/** Whether a job that is not over distributes the table. */
export async function isBeingDistributed(coordinator: Coordinator, oid: number, options?: CallOptions): Promise<boolean> {
  const text = `SELECT EXISTS (SELECT FROM shardwright.job WHERE state NOT IN ('done', 'undone') AND (distributed->>'oid')::bigint = $1)`;
  const { rows } = await coordinator.query({ text, values: [oid] }, options);
  return rows[0]?.[0] === 't';
}

/** What is there of a node comes last: other things may need it. */
export async function readObjects(coordinator: Coordinator, id: string): Promise<JobObject[]> {
  const { rows } = await coordinator.query({ text: `SELECT node_id, kind, name, detail FROM shardwright.job_object WHERE job_id = $1 ORDER BY kind = 'node', kind, node_id, name`, values: [id] });
  return rows.map(([node, kind, name, detail]) => ({ node: nodeId(Number(node)), kind: kind as JobObject['kind'], name: name ?? '', detail: detail ?? undefined }));
}

/** The schemas that jobs have on nodes while they run, as they stand in SQL. */
export async function readJobSchemas(coordinator: Coordinator, options?: CallOptions): Promise<Set<string>> {
  const { rows: [first] } = await coordinator.query({ text: `SELECT pg_catalog.to_regclass('shardwright.job_object') IS NOT NULL` }, options);
  if (first?.[0] !== 't') return new Set();
  const { rows } = await coordinator.query({ text: `SELECT name FROM shardwright.job_object WHERE kind = 'schema'` }, options);
  return new Set(rows.map(([name]) => name ?? ''));
}

/** They are gone. */
export async function forgetObjects(coordinator: Coordinator, id: string, objects: readonly Pick<JobObject, 'node' | 'kind' | 'name'>[]): Promise<void> {
  const text = `DELETE FROM shardwright.job_object j USING jsonb_to_recordset($2) AS o (node integer, kind text, name text)
    WHERE j.job_id = $1 AND j.node_id = o.node AND j.kind = o.kind AND j.name = o.name`;
  await coordinator.query({ text, values: [id, JSON.stringify(objects)] });
}

/** Whether a job that is not over moves something to or from the node. */
export async function hasJobs(coordinator: NodeConnection, node: NodeId, options?: CallOptions): Promise<boolean> {
  const installed = await coordinator.query({ text: `SELECT pg_catalog.to_regclass('shardwright.job') IS NOT NULL` }, options);
  if (installed.rows[0]?.[0] !== 't') return false;
  const text = `SELECT EXISTS (SELECT FROM shardwright.job, jsonb_array_elements(sources || targets) AS g WHERE state NOT IN ('done', 'undone') AND (g->>'node')::integer = $1)`;
  const { rows } = await coordinator.query({ text, values: [node] }, options);
  return rows[0]?.[0] === 't';
}

function jobOf([id, kind, state, sources, targets, distributed, options, progress, definitions, cancelRequested, error, createdMs, changedMs]: RawRow): StoredJob {
  return {
    id: id ?? '',
    kind: knownKind(id ?? '', kind ?? ''),
    state: state ?? '',
    sources: JSON.parse(sources ?? '[]') as JobGroup[],
    targets: JSON.parse(targets ?? '[]') as JobTarget[],
    distributed: typeof distributed === 'string' ? (JSON.parse(distributed) as DistributedTable) : undefined,
    options: JSON.parse(options ?? '{}') as Record<string, unknown>,
    progress: JSON.parse(progress ?? '{}') as Record<string, unknown>,
    definitions: definitions ?? undefined,
    cancelRequested: cancelRequested === 't',
    error: error ?? undefined,
    createdAt: new Date(Number(createdMs)),
    changedAt: new Date(Number(changedMs)),
  };
}

/** An older process must not take a job for one of those that it knows. */
function knownKind(id: string, kind: string): JobKind {
  const known = jobKinds.find((one) => one === kind);
  if (known !== undefined) return known;
  throw new ClusterError('moveInProgress', `job ${id} is of kind "${kind}", which this version of shardwright does not know`, { hint: 'A process with the version that began it carries it on.' });
}

function unknownJob(id: string): ClusterError {
  return new ClusterError('unknownJob', `job ${id} does not exist or is over`);
}

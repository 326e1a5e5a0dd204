import { at, present } from '../../base/assert.ts';
import { distributionType } from '../../catalog/hash/distribution-type.ts';
import { shardId, type ShardId } from '../../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { readDefinition, readTree } from '../../ddl/read-definition.ts';
import { referencedShards } from '../../ddl/referenced-shards.ts';
import { guardOf } from '../../ddl/shard-guard.ts';
import type { TableDefinition } from '../../ddl/table-definition.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { type DistributedTable, type JobTarget, readObjects, type StoredJob } from '../../store/jobs.ts';
import { fingerprintOf, type MovedGroups, numberedShard, type RowHash, type TargetGroup, withInheritedNames, withoutReferenceTables } from '../moved-tables.ts';
import { definitionChanged } from '../streamed-tables.ts';

type DistributingJob = Pick<StoredJob, 'id' | 'sources' | 'targets'> & { readonly distributed: DistributedTable };

/**
 * A local table, with its partitions if it has any, as the one source of a job; and the shards that it will have. Definitions are those of the table without what the job has done to it. In the connection's
 * transaction, which must have `definitionSettings`. `undefinedTable` when it was dropped, `moveUndone` when it has other partitions or columns than when the job began.
 */
export async function readLocalTable(coordinator: NodeConnection, job: DistributingJob, options?: CallOptions): Promise<MovedGroups> {
  const { distributed } = job;
  const tree = await readTree(coordinator, await readDefinition(coordinator, distributed.oid, options), options);
  const identities = await changedIdentities(coordinator, job.id);
  const tables = tree.map((definition) => {
    const own = withIdentity(definition, identities.get(definition.oid));
    return { definition: own, shard: undefined, name: own.name, sql: quoteQualified(own.schema, own.name) };
  });
  const definitions = tables.map(({ definition }) => definition);
  const hash = hashOf(distributed, definitions);
  const targets = job.targets.map((target, ordinal) => targetOf(target, definitions, { job, hash, ordinal }));
  const references = targets.map((target) => target.tables.map(({ definition, wish }) => withoutReferenceTables(definition, wish.references)));
  const { group, node, min, max } = at(job.sources, 0);
  return { sources: [{ id: group, node, min, max, tables }], targets, hash, fingerprint: fingerprintOf([...definitions, references]) };
}

/** What the job has made of replica identities is undone in the end: by the OID of the table, what they were. */
async function changedIdentities(coordinator: NodeConnection, id: string): Promise<ReadonlyMap<number, string | undefined>> {
  const objects = await readObjects(coordinator, id);
  return new Map(objects.flatMap(({ kind, name, detail }) => (kind === 'replica_identity' ? [[Number(name), detail] as const] : [])));
}

function withIdentity(definition: TableDefinition, identity: string | undefined): TableDefinition {
  if (identity === undefined) return definition;
  const replicaIdentity = ({ DEFAULT: 'd', NOTHING: 'n', FULL: 'f' } as const)[identity] ?? 'i';
  const indexes = (definition.indexes ?? []).map((index) => ({ ...index, replicaIdentity: identity === `USING INDEX ${quoteIdentifier(index.name)}` }));
  return { ...definition, replicaIdentity, indexes };
}

function hashOf({ column, hash, type, name }: DistributedTable, definitions: readonly TableDefinition[]): RowHash | undefined {
  if (column === undefined || type === undefined) return undefined;
  if (!definitions.every(({ columns }) => columns.some((one) => one.name === column))) throw definitionChanged(name);
  return { family: hash, type: present(distributionType(type), 'distribution type'), columns: new Map(definitions.map(({ oid }) => [oid, column])), takesNull: false };
}

interface Targeting {
  readonly job: DistributingJob;
  readonly hash: RowHash | undefined;
  readonly ordinal: number;
}

function targetOf({ group, node, min, max, shards = {} }: JobTarget, definitions: readonly TableDefinition[], { job, hash, ordinal }: Targeting): TargetGroup {
  const own = new Map(definitions.map(({ oid }): [number, ShardId] => {
    const id = shards[oid];
    if (id === undefined) throw definitionChanged(job.distributed.name);
    return [oid, shardId(id)];
  }));
  const tables = definitions.map((definition) => {
    const numbered = numberedShard(definition, present(own.get(definition.oid)));
    const column = hash === undefined ? undefined : definition.columns.find(({ name }) => name === hash.columns.get(definition.oid));
    const guard = guardOf(definition, hash === undefined || column === undefined ? undefined : { column, type: hash.type }, { group: groupOf(job), ordinal });
    return { ...numbered, wish: { id: numbered.shard, hash: guard, references: new Map([...referencedShards(definition, ordinal), ...own]) } };
  });
  return { id: group, node, min, max, tables: withInheritedNames(tables) };
}

/** The shard groups that the rows go to. */
export function groupOf({ targets, distributed: { hash } }: Pick<DistributingJob, 'targets' | 'distributed'>): Parameters<typeof guardOf>[2]['group'] {
  return { hash, shardGroups: targets.map(({ group, node, min, max }, ordinal) => ({ id: group, ordinal, min, max, node })) };
}

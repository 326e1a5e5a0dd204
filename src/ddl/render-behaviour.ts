import { assert, present } from '../base/assert.ts';
import { shardId, type ShardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../sql/identifiers.ts';
import { renameQualifier, replaceRelations } from '../sql/rewrite-relation.ts';
import { ensureRunsTriggerSql } from '../store/node-schema.ts';
import { triggerOfShards } from './copy-triggers.ts';
import { ensureSchema } from './on-nodes.ts';
import type { ShardNames } from './shard-names.ts';
import type { PolicyDefinition, StatisticsDefinition, TableDefinition, TriggerDefinition } from './table-definition.ts';

/** Policies, triggers and extended statistics of a shard that was just made. */
export function renderBehaviour(table: TableDefinition, shard: ShardNames): string[] {
  const { policies, triggers, statistics, rowSecurity, rowSecurityForced } = table;
  return [
    ...(policies ?? []).flatMap((policy) => createPolicy(shard, policy)),
    ...(rowSecurity ? [`ALTER TABLE ${shard.sql} ENABLE ROW LEVEL SECURITY`] : []),
    ...(rowSecurityForced ? [`ALTER TABLE ${shard.sql} FORCE ROW LEVEL SECURITY`] : []),
    ...(triggers ?? []).flatMap((trigger) => createTriggerOf(table, shard, trigger)),
    ...(statistics ?? []).flatMap((one) => createStatistics(shard, one)),
  ];
}

/** Reference tables that it reads give way to their copies on the node. */
export function createPolicy(shard: ShardNames, policy: PolicyDefinition): string[] {
  const { name, head, roles, using, check, comment } = policy;
  const text = `CREATE POLICY ${quoteIdentifier(name)} ON ${shard.sql} ${head} TO ${roles}${expressions(using, check)}`;
  return [policyText(shard, policy, text), ...commentOn(`POLICY ${quoteIdentifier(name)} ON ${shard.sql}`, comment)];
}

export function policyText(shard: ShardNames, { reads }: PolicyDefinition, text: string): string {
  const copies = (schema: string | undefined, name: string) => {
    const read = reads?.find((table) => table.schema === schema && table.name === name);
    return read === undefined ? undefined : { sql: quoteQualified(read.schema, shardName(read.name, shardId(present(read.distribution?.shardIds[0], 'copy')))) };
  };
  return renameQualifier(replaceRelations(text, copies), shard.table.name, shard.name);
}

export function expressions(using: string | null, check: string | null): string {
  return `${using === null ? '' : ` USING (${using})`}${check === null ? '' : ` WITH CHECK (${check})`}`;
}

/** A trigger of the table, as its shards have it. */
export function createTriggerOf(table: TableDefinition, shard: ShardNames, trigger: TriggerDefinition): string[] {
  const isAsked = table.distribution?.kind === 'reference';
  return [...(isAsked ? [ensureRunsTriggerSql] : []), ...createTrigger(shard, triggerOfShards(table, trigger))];
}

export function createTrigger(shard: ShardNames, { name, sql, enabled, comment }: TriggerDefinition): string[] {
  const text = replaceRelations(sql, () => ({ sql: shard.sql, bare: true }));
  return [text, ...(enabled === 'O' ? [] : [enableTrigger(shard, name, enabled)]), ...commentOn(`TRIGGER ${quoteIdentifier(name)} ON ${shard.sql}`, comment)];
}

export function enableTrigger(shard: Pick<ShardNames, 'sql'>, name: string, enabled: TriggerDefinition['enabled']): string {
  const verb = { O: 'ENABLE', D: 'DISABLE', R: 'ENABLE REPLICA', A: 'ENABLE ALWAYS' }[enabled];
  return `ALTER TABLE ${shard.sql} ${verb} TRIGGER ${quoteIdentifier(name)}`;
}

export function createStatistics(shard: ShardNames, statistics: StatisticsDefinition): string[] {
  const { schema, head, tail, sql, target, comment } = statistics;
  assert(sql.startsWith(head) && sql.endsWith(tail), `unexpected statistics definition ${sql}`);
  const name = shard.statistics(statistics);
  return [
    ensureSchema({ schema, schemaUsers: null }),
    `CREATE STATISTICS ${name} ${sql.slice(head.length, sql.length - tail.length)} FROM ${shard.sql}`,
    ...(target === null ? [] : [`ALTER STATISTICS ${name} SET STATISTICS ${target}`]),
    ...commentOn(`STATISTICS ${name}`, comment),
  ];
}

export function statisticsName(id: ShardId, { schema, name }: Pick<StatisticsDefinition, 'schema' | 'name'>): string {
  return quoteQualified(schema, shardName(name, id));
}

export function commentOn(target: string, comment: string | null): string[] {
  return comment === null ? [] : [`COMMENT ON ${target} IS ${quoteLiteral(comment)}`];
}

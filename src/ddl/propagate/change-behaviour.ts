import { shardName } from '../../catalog/shard-name.ts';
import { quoteIdentifier, quoteLiteral } from '../../sql/identifiers.ts';
import { ensureSchema } from '../on-nodes.ts';
import { createPolicy, createStatistics, createTriggerOf, enableTrigger, expressions, policyText, statisticsName } from '../render-behaviour.ts';
import type { ShardNames } from '../shard-names.ts';
import type { PolicyDefinition, StatisticsDefinition, TableDefinition, TriggerDefinition } from '../table-definition.ts';
import { type Matched, matchParts, type TableChange } from './table-change.ts';

type Part = 'policies' | 'triggers' | 'statistics';

function matched<P extends Part>({ before, after }: TableChange, part: P): Matched<NonNullable<TableDefinition[P]>[number]> {
  return matchParts<{ readonly oid: number; readonly name: string }>(before[part] ?? [], after[part] ?? [], () => false) as Matched<NonNullable<TableDefinition[P]>[number]>;
}

/** Policies may read other tables that go. */
export function dropPolicies(change: TableChange, shard: ShardNames): string[] {
  return matched(change, 'policies').gone.map(({ name }) => `DROP POLICY ${quoteIdentifier(name)} ON ${shard.sql}`);
}

/** Triggers may name columns that go. */
export function dropBehaviour(change: TableChange, shard: ShardNames): string[] {
  return [
    ...[...matched(change, 'triggers').gone, ...redefinedTriggers(change).map(({ from }) => from)].map(({ name }) => `DROP TRIGGER ${quoteIdentifier(name)} ON ${shard.sql}`),
    ...matched(change, 'statistics').gone.map((one) => `DROP STATISTICS ${statisticsName(shard.id, one)}`),
  ];
}

export function renameBehaviour(change: TableChange, shard: ShardNames): string[] {
  const renamed = <T extends { readonly name: string }>({ kept }: Matched<T>): readonly { readonly from: T; readonly to: T }[] => kept.filter(({ from, to }) => from.name !== to.name);
  return [
    ...renamed(matched(change, 'policies')).map(({ from, to }) => `ALTER POLICY ${quoteIdentifier(from.name)} ON ${shard.sql} RENAME TO ${quoteIdentifier(to.name)}`),
    ...renamed(keptTriggers(change)).map(({ from, to }) => `ALTER TRIGGER ${quoteIdentifier(from.name)} ON ${shard.sql} RENAME TO ${quoteIdentifier(to.name)}`),
    ...matched(change, 'statistics').kept.flatMap(({ from, to }) => movedStatistics(from, to, shard)),
  ];
}

export function changeBehaviour(change: TableChange, shard: ShardNames): string[] {
  const { before, after } = change;
  const alter = `ALTER TABLE ${shard.sql}`;
  return [
    ...matched(change, 'policies').added.flatMap((policy) => createPolicy(shard, policy)),
    ...matched(change, 'policies').kept.flatMap(({ from, to }) => changedPolicy(from, to, shard)),
    ...(before.rowSecurity === after.rowSecurity ? [] : [`${alter} ${after.rowSecurity ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY`]),
    ...(before.rowSecurityForced === after.rowSecurityForced ? [] : [`${alter} ${after.rowSecurityForced ? '' : 'NO '}FORCE ROW LEVEL SECURITY`]),
    ...[...matched(change, 'triggers').added, ...redefinedTriggers(change).map(({ to }) => to)].flatMap((trigger) => createTriggerOf(after, shard, trigger)),
    ...keptTriggers(change).kept.flatMap(({ from, to }) => changedTrigger(from, to, shard)),
    ...matched(change, 'statistics').added.flatMap((one) => createStatistics(shard, one)),
    ...matched(change, 'statistics').kept.flatMap(({ from, to }) => changedStatistics(from, to, shard)),
  ];
}

function changedPolicy(from: PolicyDefinition, to: PolicyDefinition, shard: ShardNames): string[] {
  const target = `POLICY ${quoteIdentifier(to.name)} ON ${shard.sql}`;
  const isSame = from.roles === to.roles && from.using === to.using && from.check === to.check;
  return [
    ...(isSame ? [] : [policyText(shard, to, `ALTER ${target} TO ${to.roles}${expressions(to.using, to.check)}`)]),
    ...changedComment(target, from, to),
  ];
}

/** CREATE OR REPLACE TRIGGER keeps the OID. */
function redefinedTriggers(change: TableChange): Matched<TriggerDefinition>['kept'] {
  return matched(change, 'triggers').kept.filter(({ from, to }) => from.name === to.name && from.sql !== to.sql && !isRenamed(change));
}

function keptTriggers(change: TableChange): Matched<TriggerDefinition> {
  const redefined = redefinedTriggers(change).map(({ to }) => to);
  const all = matched(change, 'triggers');
  return { ...all, kept: all.kept.filter(({ to }) => !redefined.includes(to)) };
}

/** Names of the table and of its columns stand in the definitions of triggers. */
function isRenamed({ before, after }: TableChange): boolean {
  return before.name !== after.name || before.schema !== after.schema
    || after.columns.some(({ position, name }) => before.columns.some((column) => column.position === position && column.name !== name));
}

function changedTrigger(from: TriggerDefinition, to: TriggerDefinition, shard: ShardNames): string[] {
  return [
    ...(from.enabled === to.enabled ? [] : [enableTrigger(shard, to.name, to.enabled)]),
    ...changedComment(`TRIGGER ${quoteIdentifier(to.name)} ON ${shard.sql}`, from, to),
  ];
}

function movedStatistics(from: StatisticsDefinition, to: StatisticsDefinition, { id }: ShardNames): string[] {
  const renamed = statisticsName(id, { schema: from.schema, name: to.name });
  return [
    ...(from.name === to.name ? [] : [`ALTER STATISTICS ${statisticsName(id, from)} RENAME TO ${quoteIdentifier(shardName(to.name, id))}`]),
    ...(from.schema === to.schema ? [] : [ensureSchema({ schema: to.schema, schemaUsers: null }), `ALTER STATISTICS ${renamed} SET SCHEMA ${quoteIdentifier(to.schema)}`]),
  ];
}

function changedStatistics(from: StatisticsDefinition, to: StatisticsDefinition, { id }: ShardNames): string[] {
  const name = statisticsName(id, to);
  return [
    ...(from.target === to.target ? [] : [`ALTER STATISTICS ${name} SET STATISTICS ${to.target ?? -1}`]),
    ...changedComment(`STATISTICS ${name}`, from, to),
  ];
}

function changedComment(target: string, from: { readonly comment: string | null }, to: { readonly comment: string | null }): string[] {
  return from.comment === to.comment ? [] : [`COMMENT ON ${target} IS ${to.comment === null ? 'NULL' : quoteLiteral(to.comment)}`];
}

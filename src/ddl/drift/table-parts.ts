import { quoteIdentifier, quoteLiteral } from '../../sql/identifiers.ts';
import { triggerOfShards } from '../copy-triggers.ts';
import { optionSql } from '../option-sql.ts';
import { createPolicy, createStatistics, createTrigger } from '../render-behaviour.ts';
import { publish, unpublish } from '../publications.ts';
import { attachPartition, commentTargets, replicaIdentity } from '../render-shard.ts';
import type { CalledFunction, PolicyDefinition, StatisticsDefinition, TriggerDefinition } from '../table-definition.ts';
import { columnKey } from './column-parts.ts';
import { constraintKey } from './constraint-parts.ts';
import type { Part } from './part.ts';
import type { Subject } from './subject.ts';

/** What the table has as a whole. */
export function storageParts(subject: Subject): Part[] {
  const { table, names } = subject;
  const alter = `ALTER TABLE ${names.sql}`;
  const option = (text: string, prefix: string): Part => {
    const name = `${prefix}${text.slice(0, text.indexOf('='))}`;
    return { key: `option ${name}`, what: `storage parameter ${name}`, shown: text, make: [`${alter} SET (${prefix}${optionSql(text)})`], drop: [`${alter} RESET (${name})`] };
  };
  const method = table.accessMethod ?? 'heap';
  const identity = replicaIdentity(table, names);
  return [
    ...partitionParts(subject),
    always('persistence', table.persistence === 'u' ? 'unlogged' : 'logged', `${alter} SET ${table.persistence === 'u' ? 'UNLOGGED' : 'LOGGED'}`),
    always('access method', method, `${alter} SET ACCESS METHOD ${quoteIdentifier(method)}`),
    ...(table.options ?? []).map((text) => option(text, '')),
    ...(table.toastOptions ?? []).map((text) => option(text, 'toast.')),
    always('replica identity', identity.split(' REPLICA IDENTITY ')[1] ?? '', identity),
  ];
}

/** What is there in any case: made by what changes it. */
function always(what: string, shown: string, make: string): Part {
  return { key: what, what, shown, make: [make], drop: [], change: () => [make] };
}

/** A partition key cannot be changed. */
function partitionParts({ table, names, references }: Subject): Part[] {
  const { partitionKey: key, partitionOf: part } = table;
  return [
    ...(key === null ? [] : [{ key: 'partition key', what: 'partition key', shown: key, make: [key], drop: [], change: () => [] }]),
    ...(part === null
      ? []
      : [{ key: 'partition', what: 'partition', shown: part.bound, make: attachPartition(table, names, references), drop: [`ALTER TABLE ${names.referenced(part.table, references)} DETACH PARTITION ${names.sql}`] }]),
  ];
}

/** Of the table, its columns, constraints and indexes; others' comments are told with them. */
export function commentParts({ table, names }: Subject): Part[] {
  return commentTargets(table, names).flatMap(([target, comment]): Part[] => {
    if (comment === null) return [];
    const on = `COMMENT ON ${target} IS`;
    const within = table.columns.find(({ name }) => target === `COLUMN ${names.sql}.${quoteIdentifier(name)}`);
    const constraint = table.constraints?.find(({ name }) => target === `CONSTRAINT ${names.constraint(name)} ON ${names.sql}`);
    const index = table.indexes?.find(({ name }) => target === `INDEX ${names.index(name)}`);
    const keys = [
      within === undefined ? undefined : columnKey(within.name),
      constraint === undefined ? undefined : constraintKey(names.constraint(constraint.name)),
      index === undefined ? undefined : index.ofConstraint ? constraintKey(names.part(index.name)) : `index ${names.part(index.name)}`,
    ].flatMap((key) => key ?? []);
    const [key] = keys;
    const what = [within && `column ${quoteIdentifier(within.name)}`, constraint && `constraint ${quoteIdentifier(constraint.name)}`, index && `index ${quoteIdentifier(index.name)}`].find((one) => one !== undefined);
    return [{
      key: `comment ${target}`, ...(key === undefined ? {} : { within: key }), what: what === undefined ? 'comment' : `comment on ${what}`, shown: comment, make: [`${on} ${quoteLiteral(comment)}`], drop: [`${on} NULL`],
    }];
  });
}

/** Row security, policies, triggers, extended statistics, and rules, which no shard should have. */
export function behaviourParts(subject: Subject): Part[] {
  const { table, names } = subject;
  const { sql } = names;
  const { rowSecurity, rowSecurityForced } = table;
  const rules = (table.rules ?? []).map((name): Part => ({ key: `rule ${name}`, what: `rule ${quoteIdentifier(name)}`, shown: 'a rule', make: [], drop: [`DROP RULE ${quoteIdentifier(name)} ON ${sql}`] }));
  return [
    always('row level security', rowSecurity ? 'enabled' : 'disabled', `ALTER TABLE ${sql} ${rowSecurity ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY`),
    always('row level security for the owner', rowSecurityForced ? 'forced' : 'not forced', `ALTER TABLE ${sql} ${rowSecurityForced ? '' : 'NO '}FORCE ROW LEVEL SECURITY`),
    ...(table.policies ?? []).flatMap((policy) => policyParts(subject, policy)),
    ...(table.triggers ?? []).flatMap((trigger) => triggerParts(subject, triggerOfShards(table, trigger))),
    ...(table.statistics ?? []).map((statistics) => statisticsPart(subject, statistics)),
    ...rules,
  ];
}

function policyParts({ names }: Subject, policy: PolicyDefinition): Part[] {
  const [key, name] = [`policy ${policy.name}`, quoteIdentifier(policy.name)];
  const make = createPolicy(names, policy);
  return [
    { key, what: `policy ${name}`, shown: make[0]?.split(` ON ${names.sql} `)[1] ?? '', make, drop: [`DROP POLICY ${name} ON ${names.sql}`] },
    ...(policy.functions ?? []).map((called) => functionPart(called, key)),
  ];
}

function triggerParts({ names }: Subject, trigger: TriggerDefinition): Part[] {
  const [key, name] = [`trigger ${trigger.name}`, quoteIdentifier(trigger.name)];
  const enabled = { O: 'enabled', D: 'disabled', R: 'enabled on replicas', A: 'always enabled' }[trigger.enabled];
  return [
    { key, what: `trigger ${name}`, shown: `${trigger.sql} (${enabled})`, make: createTrigger(names, trigger), drop: [`DROP TRIGGER ${name} ON ${names.sql}`] },
    functionPart(trigger.function, key),
  ];
}

function statisticsPart({ names }: Subject, statistics: StatisticsDefinition): Part {
  const name = names.statistics(statistics);
  return { key: `statistics ${name}`, what: `statistics ${quoteIdentifier(statistics.name)}`, shown: statistics.sql, make: createStatistics(names, statistics), drop: [`DROP STATISTICS ${name}`] };
}

/** A function that the shard needs is the same everywhere. */
function functionPart({ signature, source, definition }: CalledFunction, within: string): Part {
  return { key: `${within}: ${signature}`, within, what: `function ${signature}`, shown: source, make: definition === null ? [] : [definition], drop: [] };
}

export function publicationParts({ table, names }: Subject): Part[] {
  return (table.publications ?? []).map((entry): Part => {
    const { name, columns, where } = entry;
    const shown = [columns === null ? 'all columns' : `(${columns})`, ...(where === null ? [] : [`WHERE (${where})`])].join(' ');
    return { key: `publication ${name}`, what: `publication ${quoteIdentifier(name)}`, shown, make: [publish(names.sql, entry)], drop: [unpublish(names.sql, entry)] };
  });
}

export function ownerPart({ table: { owner, ownerReads }, names }: Subject): Part {
  return always('owner', ownerReads ? 'the role that connects' : owner, `ALTER TABLE ${names.sql} OWNER TO ${ownerReads ? 'CURRENT_USER' : quoteIdentifier(owner)}`);
}

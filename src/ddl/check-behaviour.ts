import { allOrAbort } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import type { CallOptions, NodeConnection, RawRow } from '../cluster/node-connection.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { type BodyNames, bodyNames } from '../sql/function-body.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import { type Objection, unsupportedTable } from './check-table.ts';
import { isLookupTrigger } from './lookups/lookup-triggers.ts';
import type { CalledFunction, PolicyDefinition, TableDefinition, TriggerDefinition } from './table-definition.ts';

/** How the rows of a table are placed. */
export type PlacementKind = 'reference' | 'postgres' | 'murmur3';

/** `unsupportedTable` for triggers and policies that would not do on shards what they do on one PostgreSQL. */
export function checkBehaviour(table: TableDefinition, placement: PlacementKind): void {
  const objection = first(table.triggersUnlikeAbove ?? [], objectionToState) ?? first(table.triggers ?? [], (trigger) => objectionToTrigger(trigger, placement)) ?? first(table.policies ?? [], (policy) => objectionToPolicy(policy, placement));
  if (objection !== undefined) throw unsupportedTable(table, objection);
}

function first<T>(items: readonly T[], objectionTo: (item: T) => Objection | undefined): Objection | undefined {
  for (const item of items) {
    const objection = objectionTo(item);
    if (objection !== undefined) return objection;
  }
  return undefined;
}

function objectionToState(name: string): Objection {
  return { message: `trigger "${name}" of a partition is not enabled as it is above`, detail: 'Shards of partitions have the triggers of the shards above, as they are there.', hint: 'Enable or disable it by the partitioned table.' };
}

function objectionToTrigger({ name, perRow, seesMore, timing }: TriggerDefinition, placement: PlacementKind): Objection | undefined {
  const message = (why: string): string => `trigger "${name}" ${why}`;
  const isReference = placement === 'reference';
  if (!perRow) return { message: message('is for each statement'), detail: `A statement for many rows is one for each ${isReference ? 'copy' : 'shard'}.`, hint: 'Make it FOR EACH ROW.' };
  if (seesMore) return { message: message('sees other rows or another table'), detail: `On a node these would be those of ${isReference ? 'a copy' : 'one shard'}.`, hint: 'Leave out REFERENCING and FROM.' };
  if (placement === 'murmur3' && timing === 'before') return { message: message('could move rows to where they do not belong'), detail: 'Nodes cannot tell the place of rows that are hashed by murmur3.', hint: 'Distribute by the default hash.' };
  return undefined;
}

function objectionToPolicy({ name, reads, readsItself, using, check, unsteady }: PolicyDefinition, placement: PlacementKind): Objection | undefined {
  const other = reads?.find(({ distribution }) => distribution?.kind !== 'reference');
  if (other !== undefined) {
    return { message: `policy "${name}" reads table "${other.name}"`, detail: 'It is asked on nodes, which have all rows of reference tables only.', hint: `Make "${other.name}" a reference table.` };
  }
  if (readsItself) return { message: `policy "${name}" reads the table itself`, detail: 'It is asked on each shard, which has a part of the rows.', hint: 'Compare columns of the row with current_setting() or current_user instead.' };
  if (placement === 'reference' && (unsteady !== null || /\b(CURRENT_(DATE|TIME|TIMESTAMP)|LOCALTIME)/.test(`${using} ${check}`))) {
    return { message: `policy "${name}" depends on the moment`, detail: 'Each copy of a reference table would look at it by itself, and the copies could come to differ.' };
  }
  return undefined;
}

/** Where functions and roles are looked for. */
export interface BehaviourServers extends CallOptions {
  readonly transaction: DistributedTransaction;
  readonly coordinator: NodeConnection;
  readonly nodes: readonly ClusterNode[];
}

/**
 * `unsupportedTable` for policies and triggers whose functions would not do on nodes what they do on one PostgreSQL, and for roles that a node lacks. A function's body is looked at, and those
 * of the functions that it calls: on a node there are shards, but no tables.
 */
export async function checkDependencies(servers: BehaviourServers, table: TableDefinition): Promise<void> {
  const objection = await objectionToFunctions(servers, table);
  if (objection !== undefined) throw unsupportedTable(table, objection);
  await checkRoles(servers, table);
}

/** What only has its meaning in a session's own connection, or in the coordinator database. */
const sessionFunctions = /^(nextval|currval|lastval|setval|pg_notify|set_config|pg_advisory_.*|pg_try_advisory_.*|txid_current|pg_current_xact_id|dblink.*)$/;
const shardVariables = new Set(['tg_relid', 'tg_relname', 'tg_table_name', 'tableoid', 'ctid']);

async function objectionToFunctions(servers: BehaviourServers, table: TableDefinition): Promise<Objection | undefined> {
  const called = [...(table.policies ?? []).flatMap(({ functions }) => functions ?? []), ...(table.triggers ?? []).flatMap((trigger) => (isLookupTrigger(trigger) ? [] : [trigger.function]))];
  const seen = new Set<string>();
  let next = called;
  while (next.length > 0) {
    const names: BodyNames[] = [];
    for (const one of next) {
      seen.add(one.signature);
      if (one.language === 'internal' || one.language === 'c') continue;
      const body = bodyNames(one);
      const objection = objectionToBody(one, body) ?? (await objectionToRelations(servers, one, body));
      if (objection !== undefined) return objection;
      if (body !== undefined) names.push(body);
    }
    next = (await functionsNamed(servers, names.flatMap(({ functions }) => functions))).filter(({ signature }) => !seen.has(signature));
  }
  return undefined;
}

function objectionToBody({ signature, language }: CalledFunction, body: BodyNames | undefined): Objection | undefined {
  const message = `function ${signature} cannot run on the nodes`;
  if (body === undefined) return { message, detail: `Its body, in language ${language}, cannot be read, so the tables that it uses are not known.`, hint: 'Write it in PL/pgSQL.' };
  if (body.isDynamic) return { message, detail: 'It runs texts that it makes itself (EXECUTE), so the tables that it uses are not known.' };
  const other = body.functions.find((name) => sessionFunctions.test(name)) ?? (body.statements.includes('NotifyStmt') ? 'NOTIFY' : undefined);
  if (other !== undefined) return { message, detail: `It uses ${other}, which means something in the coordinator database alone.` };
  const variable = body.columns.find((name) => shardVariables.has(name.toLowerCase()));
  if (variable !== undefined) return { message, detail: `It reads ${variable}, which would tell of the shard.`, hint: 'Give the trigger what it needs as an argument (TG_ARGV).' };
  return undefined;
}

async function objectionToRelations(servers: BehaviourServers, { signature }: CalledFunction, body: BodyNames | undefined): Promise<Objection | undefined> {
  const [found] = await onCoordinator(
    servers,
    `SELECT c.oid::regclass FROM json_to_recordset($1::json) AS k (schema name, name name) JOIN pg_class c ON c.relname = k.name JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = coalesce(k.schema, n.nspname) AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' AND c.relkind <> 'c' LIMIT 1`,
    [JSON.stringify(body?.relations ?? [])],
  );
  if (found === undefined) return undefined;
  return { message: `function ${signature} names table ${found[0]}`, detail: 'It runs where the row is: a node has shards, not tables, and not the rows that are elsewhere.', hint: 'Do it in the application, in the same transaction.' };
}

/** Functions of the user's with these names. */
async function functionsNamed(servers: BehaviourServers, names: readonly string[]): Promise<CalledFunction[]> {
  if (names.length === 0) return [];
  const rows = await onCoordinator(
    servers,
    `SELECT f.oid::regprocedure, l.lanname, coalesce(pg_get_function_sqlbody(f.oid), f.prosrc), CASE WHEN f.prokind <> 'a' THEN pg_get_functiondef(f.oid) END
     FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang WHERE f.oid >= 16384 AND f.proname = ANY (SELECT json_array_elements_text($1::json))`,
    [JSON.stringify(names)],
  );
  return rows.map(([signature, language, source, definition]) => ({ signature: signature ?? '', language: language ?? '', source: source ?? '', definition: definition ?? null }));
}

/** Before anything is made, so that it is one clear error. */
async function checkRoles(servers: BehaviourServers, table: TableDefinition): Promise<void> {
  const { owner, ownerReads, grants, columns, policies } = table;
  const granted = [...(grants ?? []), ...columns.flatMap((column) => column.grants ?? [])].flatMap(({ grantee }) => (grantee === null || grantee === owner ? [] : [quoteIdentifier(grantee)]));
  const roles = [...(ownerReads ? [] : [quoteIdentifier(owner)]), ...granted, ...(policies ?? []).flatMap((policy) => policy.roleNames ?? [])];
  const named = [...new Set(roles)];
  if (named.length === 0) return;
  const text = 'SELECT k.role FROM json_array_elements_text($1::json) AS k (role) WHERE to_regrole(k.role) IS NULL';
  await allOrAbort(servers.signal, servers.nodes.map((node) => async (signal) => {
    const connection = await servers.transaction.join(node.id, 'write', { signal });
    const { rows } = await connection.query({ text, values: [JSON.stringify(named)] }, { signal });
    if (rows.length === 0) return;
    const missing = rows.map(([role]) => (role ?? '').replaceAll('"', '')).join(', ');
    throw new ClusterError('unsupportedTable', `node ${node.host}:${node.port}/${node.database} lacks roles that table "${table.name}" needs: ${missing}`, {
      detail: 'They own the table, may use it, or are named by its policies.', hint: 'Create them there (CREATE ROLE), with the same memberships.', schema: table.schema, table: table.name,
    });
  }));
}

async function onCoordinator({ coordinator, signal }: BehaviourServers, text: string, values: readonly unknown[]): Promise<RawRow[]> {
  return (await coordinator.query({ text, values }, { signal })).rows;
}

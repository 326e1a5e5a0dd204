import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import type { DefinitionPlan } from '../../plan/ddl/definition-plan.ts';
import { readDefinitions, readTree } from '../read-definition.ts';
import type { RelatedTable, TableDefinition } from '../table-definition.ts';
import type { DefinitionChange } from './definition-change.ts';

/** The definitions, as they are, of all distributed and reference tables that a statement may change; a partitioned one's with those of its partitions. */
export async function concernedTables({ coordinator, snapshot, options }: DefinitionChange, { tables, reach }: DefinitionPlan): Promise<Map<number, TableDefinition>> {
  const oids = reach === 'all' ? [...snapshot.tables.values()].map(({ oid }) => oid) : tables.map(({ oid }) => oid);
  const named = await readDefinitions(coordinator, oids, options);
  for (const table of Array.from(named.values())) for (const member of await readTree(coordinator, table, options)) named.set(member.oid, member);
  if (reach !== 'connected') return named;
  const others = new Set([...[...named.values()].flatMap(connectedTables), ...(await tablesByPolicies(coordinator, [...named.keys()], options))]);
  return new Map([...named, ...(await readDefinitions(coordinator, [...others].filter((oid) => !named.has(oid)), options))]);
}

/** Tables with policies that read one of these. */
async function tablesByPolicies(coordinator: NodeConnection, tables: readonly number[], options: CallOptions): Promise<number[]> {
  const { rows } = await coordinator.query({
    text: `SELECT DISTINCT p.polrelid::bigint FROM pg_depend d JOIN pg_policy p ON p.oid = d.objid JOIN shardwright.distributed_table t ON t.relation = p.polrelid
      WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY ($1::oid[])`,
    values: [tables],
  }, options);
  return rows.map(([oid]) => Number(oid));
}

function connectedTables({ constraints, referencedBy }: TableDefinition): number[] {
  const related: RelatedTable[] = [...(constraints ?? []).flatMap(({ foreign }) => foreign?.table ?? []), ...(referencedBy ?? []).map(({ table }) => table)];
  return related.filter(({ distribution }) => distribution !== null).map(({ oid }) => oid);
}

import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import type { DefinitionPlan } from '../../plan/ddl/definition-plan.ts';
import { readAncestors, readDefinitions, readTree } from '../read-definition.ts';
import type { RelatedTable, TableDefinition } from '../table-definition.ts';
import type { DefinitionChange } from './definition-change.ts';

/** The definitions, as they are, of all distributed and reference tables that a statement may change; a partitioned one's with those of its partitions, a partition's with those above. */
export async function concernedTables({ coordinator, snapshot, options }: DefinitionChange, { tables, reach, droppedSchemas }: DefinitionPlan): Promise<Map<number, TableDefinition>> {
  const oids = reach === 'all' ? [...snapshot.tables.values()].map(({ oid }) => oid) : reach === 'schemas' ? await tablesBySchemas(coordinator, droppedSchemas, options) : tables.map(({ oid }) => oid);
  const named = await readDefinitions(coordinator, oids, options);
  for (const table of Array.from(named.values())) {
    for (const member of [...(await readTree(coordinator, table, options)), ...(await readAncestors(coordinator, table, options))]) named.set(member.oid, member);
  }
  if (reach !== 'connected') return named;
  const others = new Set([...[...named.values()].flatMap(connectedTables), ...(await tablesByPolicies(coordinator, [...named.keys()], options))]);
  return new Map([...named, ...(await readDefinitions(coordinator, [...others].filter((oid) => !named.has(oid)), options))]);
}

/** Tables in schemas, and those with parts that depend on something there. Follows more than DROP SCHEMA … CASCADE drops. */
async function tablesBySchemas(coordinator: NodeConnection, schemas: readonly string[], options: CallOptions): Promise<number[]> {
  const { rows } = await coordinator.query({ text: dependentTables, values: [schemas] }, options);
  return rows.map(([oid]) => Number(oid));
}

const dependentTables = `
WITH RECURSIVE reached (class, oid) AS (
  SELECT 'pg_namespace'::regclass::oid, oid FROM pg_namespace WHERE nspname = ANY ($1)
  UNION SELECT d.classid, d.objid FROM reached r JOIN pg_depend d ON d.refclassid = r.class AND d.refobjid = r.oid
), tables (oid) AS (
  SELECT oid FROM reached WHERE class = 'pg_class'::regclass
  UNION SELECT x.indrelid FROM reached r JOIN pg_index x ON x.indexrelid = r.oid WHERE r.class = 'pg_class'::regclass
  UNION SELECT k.conrelid FROM reached r JOIN pg_constraint k ON k.oid = r.oid WHERE r.class = 'pg_constraint'::regclass
  UNION SELECT f.adrelid FROM reached r JOIN pg_attrdef f ON f.oid = r.oid WHERE r.class = 'pg_attrdef'::regclass
  UNION SELECT g.tgrelid FROM reached r JOIN pg_trigger g ON g.oid = r.oid WHERE r.class = 'pg_trigger'::regclass
  UNION SELECT p.polrelid FROM reached r JOIN pg_policy p ON p.oid = r.oid WHERE r.class = 'pg_policy'::regclass
  UNION SELECT s.stxrelid FROM reached r JOIN pg_statistic_ext s ON s.oid = r.oid WHERE r.class = 'pg_statistic_ext'::regclass
) SELECT oid FROM tables JOIN shardwright.distributed_table ON relation = oid`;

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

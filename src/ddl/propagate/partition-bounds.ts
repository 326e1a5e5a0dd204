import { ClusterError } from '../../base/errors.ts';
import type { DefinitionPlan } from '../../plan/ddl/definition-plan.ts';
import type { DefinitionChange } from './definition-change.ts';

/** What the rows of each partition of a table meet, by its OID. */
export async function readBounds({ coordinator, options }: DefinitionChange, { tables }: DefinitionPlan): Promise<ReadonlyMap<number, string>> {
  const text = 'SELECT inhrelid::oid, pg_get_partition_constraintdef(inhrelid) FROM pg_inherits WHERE inhparent = ANY ($1::oid[])';
  const { rows } = await coordinator.query({ text, values: [tables.map(({ oid }) => oid)] }, options);
  return new Map(rows.flatMap(([oid, bound]): [number, string][] => (bound === null || bound === undefined ? [] : [[Number(oid), bound]])));
}

/** DETACH … CONCURRENTLY, as PostgreSQL, is not for tables with a default partition: rows of the one that leaves would be written to it meanwhile. */
export async function refuseBesideDefault({ coordinator, options }: DefinitionChange, { tables: [parent] }: DefinitionPlan): Promise<void> {
  const { rows } = await coordinator.query({ text: 'SELECT FROM pg_catalog.pg_partitioned_table WHERE partrelid = $1 AND partdefid <> 0', values: [parent?.oid] }, options);
  if (rows.length > 0) throw new ClusterError('unsupportedDdl', 'cannot detach partitions concurrently when a default partition exists', { sqlState: '55000' });
}

/** DETACH … CONCURRENTLY leaves that as a CHECK constraint of the table that was a partition. */
export async function keepBounds({ coordinator, options }: DefinitionChange, bounds: ReadonlyMap<number, string>): Promise<void> {
  const text = 'SELECT c.oid, c.oid::regclass FROM pg_class c WHERE c.oid = ANY ($1::oid[]) AND NOT c.relispartition';
  const { rows } = await coordinator.query({ text, values: [[...bounds.keys()]] }, options);
  for (const [oid, name] of rows) await coordinator.query({ text: `ALTER TABLE ${name} ADD CHECK (${bounds.get(Number(oid)) ?? ''})` }, options);
}

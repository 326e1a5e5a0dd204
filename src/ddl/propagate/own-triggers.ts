import { ClusterError } from '../../base/errors.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { TableDefinition } from '../table-definition.ts';
import type { DefinitionChange } from './definition-change.ts';

/** Whatever is the cluster's own, of any table in the array `$1`, and disabled. */
const disabledOwn = `SELECT g.tgrelid::pg_catalog.regclass, g.tgname FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid
  WHERE g.tgrelid = ANY ($1::pg_catalog.oid[]) AND g.tgenabled = 'D' AND f.pronamespace = 'shardwright'::pg_catalog.regnamespace`;

/**
 * After DISABLE TRIGGER ALL or USER, which mean the triggers that keep rows out of shells and tell of keys as well: those stay. `unsupportedDdl` where ALL turns constraints off, too: no
 * definition says so, and shards that are made later would check them.
 */
export async function ownTriggersStay({ coordinator, options }: DefinitionChange, disabled: 'all' | 'user', tables: readonly TableDefinition[]): Promise<void> {
  const { rows } = await coordinator.query({ text: disabledOwn, values: [tables.map(({ oid }) => oid)] }, options);
  for (const [table, name] of rows) await coordinator.query({ text: `ALTER TABLE ${table ?? ''} ENABLE TRIGGER ${quoteIdentifier(name ?? '')}` }, options);
  const checked = disabled === 'all' ? tables.find(isCheckedByTriggers) : undefined;
  if (checked === undefined) return;
  throw new ClusterError('unsupportedDdl', `cannot disable the triggers that check constraints of "${checked.name}"`, {
    detail: 'ALL means those of foreign keys and deferrable constraints, too, and shards that are moved would check them again.', hint: 'DISABLE TRIGGER USER leaves them as they are. Constraints can be dropped, and added again as NOT VALID.',
    schema: checked.schema, table: checked.name,
  });
}

function isCheckedByTriggers({ constraints, referencedBy }: TableDefinition): boolean {
  return referencedBy !== null || (constraints ?? []).some(({ kind, deferrable }) => kind === 'foreign' || deferrable);
}

import type { CallOptions, NodeConnections } from '../../cluster/node-connection.ts';
import type { PreflightCheck } from './preflight-check.ts';
import type { PreflightTable } from './run-preflight.ts';

const rightsQuery = `SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), pg_catalog.pg_is_in_recovery(), current_user`;
const takenQuery = 'SELECT name FROM pg_catalog.unnest($1::text[]) AS name WHERE pg_catalog.to_regclass(name) IS NOT NULL';

/** `tables`: shards that will come to it. */
export async function checkTarget(target: NodeConnections, tables: readonly PreflightTable[], options: CallOptions): Promise<PreflightCheck[]> {
  const [rights, taken] = await Promise.all([target.query({ text: rightsQuery }, options), target.query({ text: takenQuery, values: [tables.map(({ sql }) => sql)] }, options)]);
  const [mayCreate, standby, role] = rights.rows[0] ?? [];
  const common = { level: 'error', node: target.name, hint: null } as const;
  const names = taken.rows.map(([name]) => name ?? '');
  return [
    ...(names.length === 0 ? [{ ...common, check: 'name_free' as const, ok: true, message: 'The names of the shards are free' }] : []),
    ...names.map((name) => ({ ...common, check: 'name_free' as const, ok: false, message: `${name} exists on node ${target.name}`, hint: 'cluster.checkSchema() tells whether it is a shard that was left behind.' })),
    { ...common, check: 'create_right', ok: mayCreate === 't', message: mayCreate === 't' ? `Role ${role ?? ''} may create schemas` : `Role ${role ?? ''} lacks the right to create schemas in the database of node ${target.name}` },
    ...(standby === 't' ? [{ ...common, check: 'standby' as const, ok: false, message: `Node ${target.name} is a standby` }] : []),
  ];
}

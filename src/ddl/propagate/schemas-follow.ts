import { at, present } from '../../base/assert.ts';
import type { DefinitionPlan } from '../../plan/ddl/definition-plan.ts';
import { forgetDroppedSchemas, groupOfSchema } from '../../store/distributed-schemas.ts';
import type { CatalogChange } from '../change-catalog.ts';
import { underDefinitionSettings } from '../definition-settings.ts';
import { addSchema } from '../schemas/distribute-schema.ts';
import { distributeInto } from '../schemas/distribute-into.ts';
import { readNewTables } from '../schemas/schema-tables.ts';
import type { TableDefinition } from '../table-definition.ts';
import type { DefinitionChange } from './definition-change.ts';
import { readUserSchemas } from './run-everywhere.ts';

/**
 * After a statement that may have made or dropped schemas, or tables in distributed schemas: new schemas are distributed where that is asked for, those that are gone are forgotten, and tables that have come
 * to distributed schemas get their shards. `before`: the schemas that there were. Returns whether anything of that was to do.
 */
export async function schemasFollow(change: DefinitionChange, plan: DefinitionPlan, before: readonly string[] | undefined): Promise<boolean> {
  const { transaction, coordinator, snapshot, options, shellsOnly } = change;
  if (shellsOnly) return false;
  const { clusterId, nodes } = snapshot;
  const inCatalog: CatalogChange = { transaction, coordinator, clusterId, nodes, signal: options.signal };
  const made = before !== undefined && (await distributesSchemas(change)) ? (await readUserSchemas(coordinator, options)).filter((schema) => !before.includes(schema)) : [];
  for (const schema of made) await addSchema(inCatalog, schema);
  const gone = snapshot.distributedSchemas.size > 0 && (plan.schemas !== undefined || plan.reach === 'all') && (await forgetDroppedSchemas(inCatalog));
  const mayHaveTables = made.length > 0 || snapshot.distributedSchemas.size > 0;
  const added = mayHaveTables && (plan.makesTables || plan.reach === 'all') && (await distributeNewTables(change, inCatalog));
  return made.length > 0 || gone || added;
}

/** What the session says, `SET citus.enable_schema_based_sharding`, and else the cluster's option. */
async function distributesSchemas({ coordinator, options, ...change }: DefinitionChange): Promise<boolean> {
  const { rows } = await coordinator.query({ text: `SELECT pg_catalog.current_setting('citus.enable_schema_based_sharding', true)` }, options);
  const setting = rows[0]?.[0] ?? '';
  return setting === '' ? change.distributesSchemas : ['on', 'true', 't', 'yes', 'y', '1'].includes(setting.toLowerCase());
}

async function distributeNewTables({ coordinator, transaction, options, lockTimeoutMs }: DefinitionChange, inCatalog: CatalogChange): Promise<boolean> {
  return underDefinitionSettings(coordinator, options, async () => {
    const schemas = bySchema(await readNewTables(inCatalog));
    for (const [schema, tables] of schemas) {
      const group = present(await groupOfSchema(inCatalog, schema), 'group of a schema');
      const { node } = at(group.shardGroups, 0);
      const connection = await transaction.join(node, 'write', options);
      await underDefinitionSettings(connection, options, async () => {
        await connection.query({ text: `SET LOCAL lock_timeout = ${lockTimeoutMs}`, simple: true }, options);
        await distributeInto(inCatalog, group, tables);
      });
    }
    return schemas.size > 0;
  });
}

function bySchema(tables: readonly TableDefinition[]): Map<string, TableDefinition[]> {
  const schemas = new Map<string, TableDefinition[]>();
  for (const table of tables) schemas.set(table.schema, [...(schemas.get(table.schema) ?? []), table]);
  return schemas;
}

import type { CatalogSnapshot, CatalogTable, Column } from '../../src/catalog/catalog-snapshot.ts';
import { tableKey } from '../../src/catalog/catalog-snapshot.ts';
import { colocationId, nodeId, shardGroupId, shardId } from '../../src/catalog/ids.ts';

/** Names that need care: upper case, blanks, quotes, keywords, characters of two and four bytes, a name as long as names can be. */
export const oddNames: readonly string[] = [
  'orders', 'Orders', 'select', 'values', 'a b', 'quo"te', 'ünï', '😀', 'a.b', '$1', 'é'.repeat(31), 'x'.repeat(63), '--x', '/*', "it's",
];

function column(name: string, position: number): Column {
  return {
    name, position, type: { oid: 20, modifier: -1, sql: 'bigint' }, collation: undefined, deterministic: true, notNull: true, identity: 'none',
    generated: false, default: undefined,
  };
}

/** Every odd name as a distributed table in schema `public` and as one in `Odd "Schema"`, with the columns `k` and `Val`. */
export function oddSnapshot(): CatalogSnapshot {
  const columns = [column('k', 1), column('Val', 2)];
  const tables = ['public', oddSchema].flatMap((schema, s) => oddNames.map((name, i): CatalogTable => ({
    kind: 'distributed', oid: 1000 * (s + 1) + i, schema, name, columns, indexes: [], constraints: [], rowSecurity: false, rowTriggers: false, partitioned: false,
    distributionColumn: columns[0] ?? column('k', 1), colocationId: colocationId(1), shardIds: [shardId(102008 + 2 * (s * oddNames.length + i)), shardId(102009 + 2 * (s * oddNames.length + i))],
  })));
  return {
    clusterId: 'test', version: 1, nodes: [{ id: nodeId(1), host: 'localhost', port: 5432, database: 'test' }],
    colocationGroups: new Map([[colocationId(1), {
      id: colocationId(1), hash: 'postgres', distributionType: 'bigint',
      shardGroups: [
        { id: shardGroupId(1), ordinal: 0, min: -(2 ** 31), max: -1, node: nodeId(1) },
        { id: shardGroupId(2), ordinal: 1, min: 0, max: 2 ** 31 - 1, node: nodeId(1) },
      ],
    }]]),
    distributedSchemas: new Map(),
    tables: new Map(tables.map((table) => [tableKey(table.schema, table.name), table])),
    dependentViews: new Map(),
    lookups: [],
    server: { version: 180000, searchPath: ['public'], defaultCollationIsC: false, sessionSettings: {}, databaseSettings: {} },
  };
}

export const oddSchema = 'Odd "Schema"';

import { describe, expect, test } from 'vitest';
import type { CatalogSnapshot, CatalogTable } from '../../src/catalog/catalog-snapshot.ts';
import { shardId } from '../../src/catalog/ids.ts';
import { shardName } from '../../src/catalog/shard-name.ts';
import { withLogicalNames } from '../../src/execute/logical-names.ts';

const id = shardId(102069);
const long = 'x'.repeat(60);
const table = { name: 'orders', kind: 'distributed', shardIds: [id], constraints: ['known_key', `odd_${id}`], indexes: [{ name: 'an_index' }] } as unknown as CatalogTable;
const snapshot = { tables: new Map([[1, table]]) } as unknown as CatalogSnapshot;

function violated(constraint: string): unknown {
  const error = Object.assign(new Error(`insert or update on table "orders_${id}" violates "${constraint}"`), { table: `orders_${id}`, constraint });
  return withLogicalNames(error, snapshot);
}

describe('of a constraint that a shard complains of', () => {
  test.each([
    { of: 'one of the catalog', constraint: `known_key_${id}`, name: 'known_key' },
    { of: 'one of the catalog that ends like a shard', constraint: `odd_${id}_${id}`, name: `odd_${id}` },
    { of: 'one that the catalog has not heard of', constraint: `new_key_${id}`, name: 'new_key' },
    { of: 'one whose name was cut, that the catalog has not heard of', constraint: shardName(long, id), name: shardName(long, id) },
    { of: 'one of the coordinator database', constraint: 'own_key', name: 'own_key' },
  ])('$of', ({ constraint, name }) => {
    expect(violated(constraint)).toMatchObject({ message: `insert or update on table "orders" violates "${name}"`, table: 'orders', constraint: name, where: `shard ${id}` });
  });
});

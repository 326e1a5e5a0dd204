import { expect, test } from 'vitest';
import type { CitusMetadata, CitusTable } from '../../../src/ddl/adopt/citus-metadata.ts';
import { planAdoption } from '../../../src/ddl/adopt/plan-adoption.ts';

const nodes = [{ group: 0, host: 'c', port: 1 }, { group: 1, host: 'a', port: 1 }, { group: 2, host: 'b', port: 1 }];
const half = 2 ** 31;
const orders: CitusTable = {
  schema: 'public', name: 'orders', method: 'h', model: 's', colocation: 5, column: 'tenant_id',
  shards: [{ id: 102_008, min: -half, max: -1, groups: [1] }, { id: 102_009, min: 0, max: half - 1, groups: [2] }],
};
const items: CitusTable = { ...orders, name: 'items', shards: orders.shards.map((shard) => ({ ...shard, id: shard.id + 10 })) };
const countries: CitusTable = { schema: 'public', name: 'countries', method: 'n', model: 't', colocation: 6, column: null, shards: [{ id: 102_030, min: null, max: null, groups: [0, 1, 2] }] };

const metadata = (...tables: CitusTable[]): CitusMetadata => ({ database: 'app', nodes, tables });
const reshaped = (change: (shard: CitusTable['shards'][number], i: number) => Partial<CitusTable['shards'][number]>): CitusTable => ({ ...orders, shards: orders.shards.map((shard, i) => ({ ...shard, ...change(shard, i) })) });

test('co-located tables share slices; the coordinator with copies of reference tables alone is no node', () => {
  const local: CitusTable = { ...countries, name: 'local', model: 's', colocation: 0 };
  expect(planAdoption(metadata(countries, items, local, orders))).toEqual({
    nodes: nodes.slice(1),
    colocations: [{
      slices: [{ min: -half, max: -1, group: 1 }, { min: 0, max: half - 1, group: 2 }],
      tables: [{ schema: 'public', name: 'items', column: 'tenant_id', shardIds: [102_018, 102_019] }, { schema: 'public', name: 'orders', column: 'tenant_id', shardIds: [102_008, 102_009] }],
    }],
    references: [{ schema: 'public', name: 'countries', shardId: 102_030 }],
  });
  const onCoordinator = reshaped((_, i) => ({ groups: [i] }));
  expect(planAdoption(metadata(onCoordinator)).nodes).toEqual(nodes);
});

test.each([
  ['another method', metadata({ ...orders, method: 'a' }), 'is not distributed by hash'],
  ['a table with one shard alone', metadata({ ...countries, model: 's' }), 'is not distributed by hash'],
  ['two copies of a shard', metadata(reshaped(() => ({ groups: [1, 2] }))), 'not on exactly one node'],
  ['a gap between hashes', metadata(reshaped((_, i) => (i === 1 ? { min: 1 } : {}))), 'do not hold all hashes'],
  ['hashes held twice', metadata(reshaped((_, i) => (i === 1 ? { min: -1 } : {}))), 'do not hold all hashes'],
  ['hashes that end early', metadata(reshaped((_, i) => (i === 1 ? { max: 5 } : {}))), 'do not hold all hashes'],
  ['a node that is gone', metadata(reshaped(() => ({ groups: [7] }))), 'Node group 7'],
  ['co-located tables that do not lie together', metadata(orders, { ...items, shards: items.shards.map((shard) => ({ ...shard, groups: [1] })) }), 'does not lie where "orders" does'],
  ['a reference table that is not everywhere', metadata({ ...countries, shards: [{ id: 1, min: null, max: null, groups: [0, 1] }] }), 'has no copy on b:1'],
  ['no table at all', metadata(), 'no distributed tables'],
])('refused: %s', (_, given, detail) => {
  expect(() => planAdoption(given)).toThrowError(expect.objectContaining({ id: 'adoptionRefused', detail: expect.stringContaining(detail) }));
});

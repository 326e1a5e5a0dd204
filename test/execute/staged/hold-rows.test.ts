import { expect, test } from 'vitest';
import { nodeId, type NodeId } from '../../../src/catalog/ids.ts';
import { createNodePools } from '../../../src/cluster/node-pools.ts';
import type { NodeConnection, RawRow } from '../../../src/cluster/node-connection.ts';
import { HeldTable } from '../../../src/execute/staged/hold-rows.ts';
import type { SteadyScope } from '../../../src/execute/statement-scope.ts';
import { createTestDatabases } from '../../support/test-databases.ts';

const nodes = [nodeId(1), nodeId(2)] as const;
const oddOrEven = ([id]: RawRow): NodeId => nodes[Number(id) % 2 === 0 ? 0 : 1];

test.each([
  ['every node', undefined, (node: NodeId) => (row: RawRow) => nodes.includes(node) && row.length === 2],
  ['one node each', oddOrEven, (node: NodeId) => (row: RawRow) => oddOrEven(row) === node],
] as const)('rows of many small batches come to %s in few COPYs, each once and in order', async (__, nodeOf, isFor) => {
  await using databases = await createTestDatabases({ nodes: 2 });
  const pools = createNodePools(databases.nodes.map(({ connectionString }, i) => ({ id: nodes[i === 0 ? 0 : 1], name: `node ${i}`, config: { client: { connectionString } } })));
  await using _pools = { [Symbol.asyncDispose]: () => pools.end() };
  const connections = new Map<NodeId, NodeConnection>();
  let copies = 0;
  for (const node of nodes) {
    const connection = await pools.get(node).acquire();
    await connection.query({ text: 'BEGIN' });
    connections.set(node, counting(connection, () => (copies += 1)));
  }
  const columns = [{ name: 'id', typeSql: 'int', collation: undefined }, { name: 'note', typeSql: 'text', collation: undefined }];
  const rows = Array.from({ length: 600 }, (___, i): RawRow => [String(i), i % 7 === 0 ? null : `a\tb\\${i}\n`]);

  const table = await HeldTable.create(scopeOf(connections), { columns, lookups: ['id'], targets: nodes, nodeOf }, 'held');
  for (const row of rows) await table.append([row]);
  await table.append([]);
  await table.finish();

  for (const [node, connection] of connections) {
    expect((await connection.query({ text: 'SELECT id, note FROM pg_temp.held' })).rows).toEqual(rows.filter(isFor(node)));
    await connection.query({ text: 'ROLLBACK' });
    connection.release();
  }
  // Two of 256 rows and the rest, to two nodes.
  expect(copies).toBe(6);
});

/** The connection itself, which tells of each COPY into it. */
function counting(connection: NodeConnection, onCopy: () => void): NodeConnection {
  const copyIn = connection.copyIn.bind(connection);
  return Object.assign(connection, { copyIn: (...args: Parameters<typeof copyIn>) => (onCopy(), copyIn(...args)) });
}

function scopeOf(connections: ReadonlyMap<NodeId, NodeConnection>): SteadyScope {
  return { join: (node: NodeId) => Promise.resolve(connections.get(node)), signal: undefined } as unknown as SteadyScope;
}

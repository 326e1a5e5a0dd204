import { expect, test } from 'vitest';
import { nodeId } from '../../../src/catalog/ids.ts';
import type { CopySink } from '../../../src/cluster/node-connection.ts';
import { ShardOutbox } from '../../../src/execute/copy/shard-outbox.ts';
import { viewedBytes } from '../../../src/execute/copy/viewed-bytes.ts';

/** Nodes that take a buffer only when they are told to. */
class SlowNodes {
  readonly waiting: (() => void)[] = [];
  taken = 0;

  copyIn = (): Promise<CopySink> =>
    Promise.resolve({
      write: (chunk) => {
        this.taken += chunk.length;
        return new Promise<void>((resolve) => this.waiting.push(resolve));
      },
      end: () => Promise.resolve(1),
      fail: () => Promise.resolve(),
    });
}

const memoryBytesMax = 128 * 1024;
const row = viewedBytes(Buffer.alloc(1000, 0x61));

function open(nodes: SlowNodes): ShardOutbox {
  return new ShardOutbox({
    targets: [1, 2, 1, 2].map((node, i) => ({ node: nodeId(node), name: `orders_${i}`, sql: `COPY orders_${i} FROM STDIN` })),
    format: 'text',
    relation: 'orders',
    hasAdded: false,
    copyIn: nodes.copyIn,
    translateError: (error) => error,
    memoryBytesMax,
  });
}

test('no more is accepted than memory may hold, and all of it is sent', async () => {
  const nodes = new SlowNodes();
  const outbox = open(nodes);
  const filled = { bytes: 0, rows: 1000 };
  const filling = (async () => {
    for (let i = 0; i < filled.rows; i += 1) {
      const buffer = outbox.room(i % 4, 1000, 1) ?? (await outbox.makeRoom(i % 4, 1000));
      buffer.append(row, 0, 1000);
      buffer.closeRow(i + 1, 1, true);
      filled.bytes += 1000;
    }
  })();
  while (filled.bytes < filled.rows * 1000) {
    // Two turns: whatever could go on without a node has gone on.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(filled.bytes - nodes.taken).toBeLessThanOrEqual(memoryBytesMax);
    nodes.waiting.shift()?.();
  }
  await filling;
  const ending = outbox.end();
  const timer = setInterval(() => nodes.waiting.shift()?.(), 1);
  await ending;
  clearInterval(timer);
  expect([filled.bytes, nodes.taken]).toEqual([1_000_000, 1_000_000]);
});

test('a row larger than all memory is taken when nothing else is held', async () => {
  const nodes = new SlowNodes();
  const outbox = open(nodes);
  const small = await outbox.makeRoom(0, 1000);
  small.append(row, 0, 1000);
  small.closeRow(1, 1, true);
  let large: unknown;
  const asked = outbox.makeRoom(1, 10 * memoryBytesMax).then((buffer) => (large = buffer));
  await new Promise((resolve) => setImmediate(resolve));
  expect([large, nodes.waiting.length]).toEqual([undefined, 1]);
  nodes.waiting.shift()?.();
  await asked;
  expect(nodes.taken).toBe(1000);
});

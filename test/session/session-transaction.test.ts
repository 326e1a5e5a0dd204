import { expect, test } from 'vitest';
import { nodeId, type NodeId } from '../../src/catalog/ids.ts';
import type { NodeConnection } from '../../src/cluster/node-connection.ts';
import { SessionTransaction } from '../../src/session/session-transaction.ts';
import type { DistributedTransaction } from '../../src/txn/distributed-transaction.ts';

const [one, two] = [nodeId(1), nodeId(2)];

/** Records what each server is sent, and answers when it is told to. */
function recording() {
  const sent = new Map<NodeId, string[]>();
  const held: (() => void)[] = [];
  let holds = false;
  const connectionTo = (node: NodeId): NodeConnection => ({
    markDirty: () => undefined,
    query: async ({ text }: { readonly text: string }) => {
      sent.set(node, [...(sent.get(node) ?? []), ...text.split(';\n')]);
      if (holds) await new Promise<void>((resolve) => held.push(resolve));
    },
  }) as unknown as NodeConnection;
  const inner = { id: 'x1', join: (node: NodeId) => Promise.resolve(connectionTo(node)) } as unknown as DistributedTransaction;
  return {
    inner,
    sent: (node: NodeId) => sent.get(node) ?? [],
    hold: () => (holds = true),
    letGo: () => {
      holds = false;
      for (const answer of held.splice(0)) answer();
    },
  };
}

/** All that is ready to run has run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each(['keep', 'undo'] as const)('a server that joins while a part ends (%s) has no savepoint of it left', async (end) => {
  const servers = recording();
  const transaction = new SessionTransaction(servers.inner, ['SET a TO 1']);
  await transaction.join(one, 'read');
  const part = await transaction.undoable();
  servers.hold();
  const ending = part[end]();
  await settled();
  const joining = transaction.join(two, 'read');
  await settled();
  servers.letGo();
  await Promise.all([ending, joining]);
  const open = servers.sent(two).filter((text) => text.startsWith('SAVEPOINT')).length - servers.sent(two).filter((text) => text.startsWith('RELEASE')).length;
  expect(servers.sent(two)[0]).toBe('SET a TO 1');
  expect(open).toBe(0);
  await transaction.broadcast('SAVEPOINT s');
  expect([one, two].map((node) => servers.sent(node).at(-1))).toEqual(['SAVEPOINT s', 'SAVEPOINT s']);
});

test('a server that joins while a savepoint is made has it, once, also when another follows at once', async () => {
  const servers = recording();
  const transaction = new SessionTransaction(servers.inner, []);
  await transaction.join(one, 'read');
  servers.hold();
  const first = transaction.broadcast('SAVEPOINT s');
  await settled();
  const joining = transaction.join(two, 'write');
  const second = transaction.broadcast('SAVEPOINT t');
  await settled();
  servers.letGo();
  await Promise.all([first, joining, second]);
  expect(servers.sent(one)).toEqual(['SAVEPOINT s', 'SAVEPOINT t']);
  expect(servers.sent(two)).toEqual(['SAVEPOINT s', 'SAVEPOINT t']);
});

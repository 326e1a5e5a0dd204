import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import v8 from 'node:v8';
import vm from 'node:vm';
import { expect, test } from 'vitest';
import { CopyInStatement } from '../../src/cluster/copy-in-statement.ts';

/** Of a server that is always behind: each write has to wait. */
class SlowSocket extends EventEmitter {
  cork(): void {}
  uncork(): void {}
  write(): boolean {
    process.nextTick(() => this.emit('drain'));
    return false;
  }
}

const writes = 100_000;
/** Ten bytes a write; what is kept of each takes a hundred at the least. */
const heldBytesMax = 1_000_000;

function heapBytes(): number {
  v8.setFlagsFromString('--expose-gc');
  (vm.runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

test('writes that had to wait leave nothing behind, however long the COPY is', async () => {
  const socket = new SlowSocket();
  const statement = new CopyInStatement('COPY t FROM STDIN', undefined, () => socket as unknown as Duplex);
  statement.onCopyIn();
  const before = heapBytes();
  for (let i = 0; i < writes; i += 1) await statement.write(Buffer.from('1'));
  const held = heapBytes() - before;
  // What it holds is held as long as it is.
  expect(statement.ended).toBe(false);
  expect(held).toBeLessThan(heldBytesMax);
  expect(socket.listenerCount('drain')).toBe(0);
});

test('a write that waits for the socket ends with the statement', async () => {
  const socket = new SlowSocket();
  socket.write = () => false;
  const statement = new CopyInStatement('COPY t FROM STDIN', undefined, () => socket as unknown as Duplex);
  statement.onCopyIn();
  const writing = statement.write(Buffer.from('1'));
  statement.error = new Error('the server has gone');
  statement.settle();
  await expect(writing).rejects.toThrow('the server has gone');
  expect(socket.listenerCount('drain')).toBe(0);
});

import { expect, test } from 'vitest';
import { RowIterator } from '../../src/session/row-iterator.ts';

async function* batches(log: string[] = []): AsyncGenerator<readonly number[], void, undefined> {
  try {
    yield [1, 2];
    yield [];
    yield [3];
  } finally {
    log.push('closed');
  }
}

test('all rows in order', async () => {
  const log: string[] = [];
  const rows: number[] = [];
  for await (const row of new RowIterator(batches(log))) rows.push(row);
  expect(rows).toEqual([1, 2, 3]);
  expect(log).toEqual(['closed']);
});

test('calls that do not wait for one another are answered in order', async () => {
  const iterator = new RowIterator(batches());
  const answers = await Promise.all(Array.from({ length: 5 }, () => iterator.next()));
  expect(answers.map(({ value }) => value)).toEqual([1, 2, 3, undefined, undefined]);
  expect(answers.map(({ done }) => done)).toEqual([false, false, false, true, true]);
});

test('nothing comes after return, which closes the batches', async () => {
  const log: string[] = [];
  const iterator = new RowIterator(batches(log));
  expect(await iterator.next()).toEqual({ done: false, value: 1 });
  expect(await iterator.return()).toEqual({ done: true, value: undefined });
  expect(log).toEqual(['closed']);
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
});

test('return behind a pending next', async () => {
  const iterator = new RowIterator(batches());
  const [first, left, after] = await Promise.all([iterator.next(), iterator.return(), iterator.next()]);
  expect([first.value, left.done, after.done]).toEqual([1, true, true]);
});

test('a failure of the batches is thrown once', async () => {
  async function* failing(): AsyncGenerator<readonly number[], void, undefined> {
    yield [1];
    throw new Error('lost');
  }
  const iterator = new RowIterator(failing());
  await iterator.next();
  await expect(iterator.next()).rejects.toThrow('lost');
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
});

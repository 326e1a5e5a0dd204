import { expect, test } from 'vitest';
import { once } from '../../src/base/once.ts';

test('one value for all who ask, also at the same time', async () => {
  let made = 0;
  const get = once(async () => {
    await Promise.resolve();
    made += 1;
    return { made };
  });
  const [first, second] = await Promise.all([get(), get()]);
  expect(first).toBe(second);
  expect(await get()).toBe(first);
  expect(made).toBe(1);
});

test('a failure is forgotten', async () => {
  let asked = 0;
  const get = once(() => {
    asked += 1;
    return asked < 3 ? Promise.reject(new Error(`failure ${asked}`)) : Promise.resolve(asked);
  });
  await expect(get()).rejects.toThrow('failure 1');
  await expect(get()).rejects.toThrow('failure 2');
  expect(await get()).toBe(3);
  expect(await get()).toBe(3);
});

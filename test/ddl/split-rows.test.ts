import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitRows } from '../../src/ddl/split-rows.ts';

async function* cut(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  let start = 0;
  for (let i = 0; start < bytes.length; i += 1) {
    const end = start + (sizes[i % sizes.length] ?? 1);
    yield bytes.subarray(start, end);
    start = end;
  }
}

const row = fc.record({ part: fc.integer({ min: 0, max: 3 }), rest: fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\n', '')) });

test('every row arrives once, in order and without its first field, however the bytes are cut', async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.array(row), cuts, fc.integer({ min: 1, max: 50 }), async (rows, sizes, partBytes) => {
      const text = rows.map(({ part, rest }) => `${part}\t${rest}\n`).join('');
      const parts = ['', '', '', ''];
      const count = await splitRows(cut(text, sizes), {
        parts: parts.length,
        partBytes,
        locate: (field) => Number(field.toString()),
        sink: async (part, bytes) => {
          parts[part] += bytes.toString();
        },
      });
      expect(count).toBe(rows.length);
      expect(parts).toEqual(parts.map((_, part) => rows.filter((r) => r.part === part).map(({ rest }) => `${rest}\n`).join('')));
    }),
  );
});

test('a source that ends within a row is noticed', async () => {
  const options = { parts: 1, partBytes: 10, locate: () => 0, sink: () => Promise.resolve() };
  await expect(splitRows(cut('0\ta\n0\tb', [2]), options)).rejects.toThrow('the last row has no end');
});

test('the first field may be empty: a text can be', async () => {
  const parts = ['', ''];
  await splitRows(cut('\ta\nx\tb\n', [3]), { parts: 2, partBytes: 10, locate: (field) => (field.length === 0 ? 0 : 1), sink: async (part, bytes) => { parts[part] += bytes.toString(); } });
  expect(parts).toEqual(['a\n', 'b\n']);
});

import { describe, expect, it } from 'vitest';
import { copyLine, copyText, copyTextAsync } from '../../bench/data/copy-text.ts';

describe('copyLine', () => {
  it('writes NULL and escapes what COPY would take for its own', () => {
    expect(copyLine([1, null, 'a\tb\nc\\d\re', ''])).toBe('1\t\\N\ta\\tb\\nc\\\\d\\re\t\n');
  });

  it('keeps an empty first column', () => {
    expect(copyLine(['', 'x'])).toBe('\tx\n');
  });
});

describe('copyText', () => {
  const rows = [[1], [2], [3], [4], [5]];

  it('makes chunks of so many rows, and tells how far it is', () => {
    const seen: number[] = [];
    expect([...copyText(rows, { chunkRows: 2, onProgress: (count) => seen.push(count) })]).toEqual(['1\n2\n', '3\n4\n', '5\n']);
    expect(seen).toEqual([2, 4, 5]);
  });

  it('makes no empty chunk', () => {
    expect([...copyText(rows.slice(0, 4), { chunkRows: 2 })]).toEqual(['1\n2\n', '3\n4\n']);
    expect([...copyText([])]).toEqual([]);
  });

  it('does the same with rows that have to be waited for', async () => {
    const chunks: string[] = [];
    for await (const chunk of copyTextAsync(arriving(rows), { chunkRows: 2 })) chunks.push(chunk);
    expect(chunks).toEqual(['1\n2\n', '3\n4\n', '5\n']);
  });
});

async function* arriving(rows: readonly number[][]): AsyncGenerator<number[]> {
  for (const row of rows) yield await Promise.resolve(row);
}

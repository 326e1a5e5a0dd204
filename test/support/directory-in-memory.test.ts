import { existsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { useDirectoryInMemory } from './directory-in-memory.ts';

const fileSystem = tmpdir();
const before = process.env['TMPDIR'];

beforeEach(() => {
  delete process.env['TMPDIR'];
});

afterEach(() => {
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
});

test('temporary files are in memory until the end, where servers of another user reach them', () => {
  let directory: string;
  {
    using _ = useDirectoryInMemory({ fileSystem, bytesMin: 0 });
    directory = tmpdir();
    expect(path.dirname(directory)).toBe(fileSystem);
    expect(statSync(directory).mode & 0o777).toBe(0o711);
  }
  expect(process.env['TMPDIR']).toBeUndefined();
  expect(existsSync(directory)).toBe(false);
});

test.each([
  ['too little room', { fileSystem, bytesMin: Number.MAX_SAFE_INTEGER }],
  ['no such file system', { fileSystem: '/dev/none', bytesMin: 0 }],
])('%s: they stay where they are', (_, limits) => {
  using _directory = useDirectoryInMemory(limits);
  expect(process.env['TMPDIR']).toBeUndefined();
});

test('a TMPDIR of the caller stays', () => {
  process.env['TMPDIR'] = '/somewhere';
  {
    using _ = useDirectoryInMemory({ fileSystem, bytesMin: 0 });
    expect(process.env['TMPDIR']).toBe('/somewhere');
  }
  expect(process.env['TMPDIR']).toBe('/somewhere');
});

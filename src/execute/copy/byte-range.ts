/** Whether the bytes from `start` to before `end` are `expected`. Makes nothing, unlike a comparison of slices. */
export function isRange(bytes: Uint8Array, { start, end }: { start: number; end: number }, expected: Uint8Array): boolean {
  if (end - start !== expected.length) return false;
  for (let i = 0; i < expected.length; i += 1) if (bytes[start + i] !== expected[i]) return false;
  return true;
}

/** Whether `byte` is among the bytes from `start` to before `end`: for short ranges. */
export function rangeHas(bytes: Uint8Array, { start, end }: { start: number; end: number }, byte: number): boolean {
  for (let position = start; position < end; position += 1) if (bytes[position] === byte) return true;
  return false;
}

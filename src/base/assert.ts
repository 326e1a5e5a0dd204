/** A broken invariant: a bug of this library, never a condition of the outside world. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** The value, which must not be `undefined`. */
export function present<T>(value: T | undefined, what = 'value'): T {
  if (value === undefined) throw new AssertionError(`${what} is missing`);
  return value;
}

/** The element at `index`, which must exist. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  const value = list[index];
  if (value === undefined) throw new AssertionError(`no element ${index} in a list of ${list.length}`);
  return value;
}

/** Makes a switch exhaustive: does not compile while a case is left. */
export function unreachable(value: never): never {
  throw new AssertionError(`unexpected value ${JSON.stringify(value)}`);
}

const ofCallersText = new WeakSet<object>();

/** To be thrown on: an error of a server that got the caller's own text, whose position is right as it is. */
export function rightlyPositioned(error: unknown): unknown {
  if (typeof error === 'object' && error !== null) ofCallersText.add(error);
  return error;
}

export function isRightlyPositioned(error: object): boolean {
  return ofCallersText.has(error);
}

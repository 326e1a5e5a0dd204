/** The smallest byte offset at which something of a parse tree stands. */
export function firstLocation(tree: unknown): number | undefined {
  if (typeof tree !== 'object' || tree === null) return undefined;
  let first: number | undefined;
  for (const [key, value] of Object.entries(tree)) {
    const found = key === 'location' && typeof value === 'number' && value >= 0 ? value : firstLocation(value);
    if (found !== undefined && (first === undefined || found < first)) first = found;
  }
  return first;
}

/**
 * Orders two strings by their UTF-8 bytes, as collation C does. JavaScript's `<` orders UTF-16 units, which differs only between surrogates (characters
 * beyond U+FFFF) and the characters from U+E000 to U+FFFF: there the larger unit belongs to the smaller character.
 */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** char(n): trailing blanks do not count. */
export function compareBpchar(a: string, b: string): number {
  return compareText(withoutTrailingBlanks(a), withoutTrailingBlanks(b));
}

export function withoutTrailingBlanks(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0x20) end -= 1;
  return end === text.length ? text : text.slice(0, end);
}

/** Surrogates after everything else. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit;
}

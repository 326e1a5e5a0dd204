/** Compares integers in plain decimal notation without leading zeros, of any length. */
export function compareWholeText(a: string, b: string): number {
  const negative = a.charCodeAt(0) === minus;
  if (negative !== (b.charCodeAt(0) === minus)) return negative ? -1 : 1;
  return negative ? compareMagnitudes(b, a) : compareMagnitudes(a, b);
}

/** Compares numerics in the server's notation: plain decimals of any scale, `NaN` above `Infinity`. */
export function compareNumericText(a: string, b: string): number {
  if (a === b) return 0;
  const [left, right] = [specialRank(a), specialRank(b)];
  if (left !== 0 || right !== 0) return left - right;
  const negative = a.startsWith('-');
  if (negative !== b.startsWith('-')) return negative ? -1 : 1;
  return negative ? compareDecimals(b.slice(1), a.slice(1)) : compareDecimals(a, b);
}

const minus = 0x2d;

function compareMagnitudes(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Zero for finite numbers, which lie between the infinities. */
function specialRank(text: string): number {
  switch (text) {
    case '-Infinity':
      return -1;
    case 'Infinity':
      return 1;
    case 'NaN':
      return 2;
    default:
      return 0;
  }
}

/** Without signs. */
function compareDecimals(a: string, b: string): number {
  const pointA = pointOf(a);
  const pointB = pointOf(b);
  if (pointA !== pointB) return pointA - pointB;
  if (a.length === b.length) return a < b ? -1 : a > b ? 1 : 0;
  const common = Math.min(a.length, b.length);
  const [headA, headB] = [a.slice(0, common), b.slice(0, common)];
  if (headA !== headB) return headA < headB ? -1 : 1;
  // One goes on where the other ends: it is larger unless only zeros follow.
  const longer = a.length > common ? a : b;
  if (!/[1-9]/.test(longer.slice(common))) return 0;
  return longer === a ? 1 : -1;
}

function pointOf(text: string): number {
  const at = text.indexOf('.');
  return at < 0 ? text.length : at;
}

import { isIPv4, isIPv6 } from 'node:net';

/** The 4 or 16 bytes of an address in full notation; undefined for abbreviations and anything else. */
export function parseAddress(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (!isIPv6(text)) return undefined;
  const [head = '', tail] = withoutDottedPart(text).split('::');
  const left = groupsOf(head);
  const right = groupsOf(tail ?? '');
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** As PostgreSQL prints it: the longest run of zero groups shortened, mapped and compatible IPv4 addresses dotted. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0));
  const run = longestZeroRun(groups);
  if (endsDotted(groups, run)) return `::${run.length === 5 ? 'ffff:' : ''}${bytes.subarray(12).join('.')}`;
  const words = groups.map((group) => group.toString(16));
  if (run.length < 2) return words.join(':');
  return `${words.slice(0, run.start).join(':')}::${words.slice(run.start + run.length).join(':')}`;
}

interface ZeroRun {
  readonly start: number;
  readonly length: number;
}

/** The first of the longest. */
function longestZeroRun(groups: readonly number[]): ZeroRun {
  let best: ZeroRun = { start: 0, length: 0 };
  let start = 0;
  for (let index = 0; index < groups.length; index += 1) {
    if (groups[index] !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

/** `::1.2.3.4` and `::ffff:1.2.3.4`; with more zeros in front (`::1`) it is an IPv6 address in its own right. */
function endsDotted(groups: readonly number[], run: ZeroRun): boolean {
  if (run.start !== 0) return false;
  return run.length === 6 || (run.length === 5 && groups[5] === 0xffff);
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** `::ffff:1.2.3.4` as `::ffff:0102:0304`. */
function withoutDottedPart(text: string): string {
  return text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
}

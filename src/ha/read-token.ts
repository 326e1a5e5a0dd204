import { ClusterError } from '../base/errors.ts';
import { nodeId, type NodeId } from '../catalog/ids.ts';

const version = '1';

/** A position in the log of each node as a short text of letters, digits, `-` and `.`, fit for a cookie or a header. */
export function formatReadToken(positions: ReadonlyMap<NodeId, bigint>): string {
  return [version, ...[...positions].map(([node, lsn]) => `${node.toString(36)}-${lsn.toString(36)}`)].join('.');
}

/** `invalidParameter` for what `formatReadToken` has not made. */
export function parseReadToken(token: string): ReadonlyMap<NodeId, bigint> {
  const [first, ...parts] = token.split('.');
  const entries = parts.map((part) => /^([0-9a-z]{1,6})-([0-9a-z]{1,13})$/.exec(part));
  if (first !== version || entries.includes(null)) throw new ClusterError('invalidParameter', 'this is no token of readToken()', { detail: `It is "${token.slice(0, 100)}".` });
  return new Map(entries.map((match) => [nodeId(Number.parseInt(match?.[1] ?? '', 36)), readBase36(match?.[2] ?? '')]));
}

function readBase36(text: string): bigint {
  return text.split('').reduce((sum, digit) => sum * 36n + BigInt(Number.parseInt(digit, 36)), 0n);
}

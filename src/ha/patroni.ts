import { ClusterError } from '../base/errors.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';

const timeoutMs = 2_000;

/**
 * The servers that Patroni knows, the leader first, from the first of the REST interfaces that answers. It may be behind by a second, so the servers themselves are asked which is the primary.
 * `nodeUnreachable` when none answers.
 */
export async function patroniMembers(urls: readonly string[], signal?: AbortSignal): Promise<readonly ServerAddress[]> {
  const failures: unknown[] = [];
  for (const url of urls) {
    try {
      const limit = AbortSignal.timeout(timeoutMs);
      const response = await fetch(new URL('/cluster', url), { signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) });
      const members = readMembers(await response.json());
      if (members.length > 0) return members;
      failures.push(new Error(`${url} knows of no server`));
    } catch (error) {
      failures.push(error);
    }
  }
  throw new ClusterError('nodeUnreachable', `no Patroni answers at ${urls.join(', ')}`, { detail: `${failures.map(String).join('; ')}.`, cause: failures[0] });
}

/** As `GET /cluster` gives them. Members without an address have not started yet. */
export function readMembers(document: unknown): readonly ServerAddress[] {
  const members = fieldOf(document, 'members');
  if (!Array.isArray(members)) return [];
  const found = members.flatMap((member: unknown) => {
    const [host, port, role] = [fieldOf(member, 'host'), fieldOf(member, 'port'), fieldOf(member, 'role')];
    return typeof host === 'string' && typeof port === 'number' ? [{ host, port, isLeader: role === 'leader' || role === 'master' }] : [];
  });
  return found.toSorted((a, b) => Number(b.isLeader) - Number(a.isLeader)).map(({ host, port }) => ({ host, port }));
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

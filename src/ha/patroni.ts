import { ClusterError } from '../base/errors.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';

const timeoutMs = 2_000;

interface Member extends ServerAddress {
  readonly name: string;
  readonly isLeader: boolean;
}

/**
 * The servers that Patroni knows, the leader first, from the first of the REST interfaces that answers. It may be behind by a second, so the servers themselves are asked which is the primary.
 * `nodeUnreachable` when none answers.
 */
export async function patroniMembers(urls: readonly string[], signal?: AbortSignal): Promise<readonly ServerAddress[]> {
  return (await askMembers(urls, signal)).members.map(({ host, port }) => ({ host, port }));
}

/** One URL or several, as a list. `invalidParameter` where there is none, or something else. */
export function patroniUrls(patroni: string | readonly string[]): readonly string[] {
  const urls = typeof patroni === 'string' ? [patroni] : patroni;
  const odd = urls.find((url) => !URL.canParse(url));
  if (odd !== undefined) throw new ClusterError('invalidParameter', `cannot read the URL "${shownUrl(odd)}" of a Patroni`, { hint: 'It is as in http://node-1a:8008.' });
  if (urls.length === 0) throw new ClusterError('invalidParameter', 'patroni needs at least one URL');
  return urls;
}

export interface PatroniSwitchover {
  /** The member that shall lead, by its name, or its address as `host:port`; Patroni chooses by default. */
  readonly to?: string | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Has Patroni make another server the leader; resolves when it has done so. `nodeUnreachable` when none answers, `switchoverFailed` with its reason when it refuses, `canceled`. */
export async function patroniSwitchover(urls: readonly string[], { to, timeoutMs: limitMs, signal }: PatroniSwitchover): Promise<void> {
  const { url, members } = await askMembers(urls, signal);
  const leader = members.find(({ isLeader }) => isLeader);
  if (leader === undefined) throw new ClusterError('switchoverFailed', `Patroni at ${shownUrl(url)} knows of no leader`);
  const candidate = to === undefined ? undefined : members.find(({ name, host, port }) => name === to || `${host}:${port}` === to);
  if (to !== undefined && candidate === undefined) throw new ClusterError('switchoverFailed', `Patroni at ${shownUrl(url)} has no member ${to}`, { detail: `It has ${members.map(({ name }) => name).join(', ')}.` });
  const body = JSON.stringify({ leader: leader.name, ...(candidate === undefined ? {} : { candidate: candidate.name }) });
  const response = await ask(url, '/switchover', { method: 'POST', body, headers: { 'Content-Type': 'application/json' }, limitMs, signal });
  if (!response.ok) throw new ClusterError('switchoverFailed', 'Patroni did not switch over', { detail: `It answered ${response.status}: ${(await response.text()).trim()}.` });
}

/** From the first interface that answers. */
async function askMembers(urls: readonly string[], signal: AbortSignal | undefined): Promise<{ readonly url: string; readonly members: readonly Member[] }> {
  const failures: unknown[] = [];
  for (const url of urls) {
    try {
      const members = readMembers(await (await ask(url, '/cluster', { limitMs: timeoutMs, signal })).json());
      if (members.length > 0) return { url, members };
      failures.push(new Error(`${shownUrl(url)} knows of no server`));
    } catch (error) {
      failures.push(error);
    }
  }
  throw new ClusterError('nodeUnreachable', `no Patroni answers at ${urls.map(shownUrl).join(', ')}`, { detail: `${failures.map(String).join('; ')}.`, cause: failures[0] });
}

/** fetch() refuses addresses with a name and a password, and takes them in a header. */
function ask(url: string, path: string, { limitMs, signal, headers, ...init }: Omit<RequestInit, 'headers' | 'signal'> & { readonly headers?: Readonly<Record<string, string>>; readonly limitMs: number; readonly signal: AbortSignal | undefined }): Promise<Response> {
  const target = new URL(path, url);
  const { username, password } = target;
  [target.username, target.password] = ['', ''];
  const limit = AbortSignal.timeout(limitMs);
  const authorization = username === '' ? {} : { Authorization: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}` };
  return fetch(target, { ...init, headers: { ...headers, ...authorization }, signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) });
}

/** As messages show it: without the password. */
export function shownUrl(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//');
}

/** As `GET /cluster` gives them, the leader first. Members without an address have not started yet. */
export function readMembers(document: unknown): readonly Member[] {
  const members = fieldOf(document, 'members');
  if (!Array.isArray(members)) return [];
  const found = members.flatMap((member: unknown) => {
    const [name, host, port, role] = ['name', 'host', 'port', 'role'].map((field) => fieldOf(member, field));
    return typeof host === 'string' && typeof port === 'number' ? [{ name: typeof name === 'string' ? name : `${host}:${port}`, host, port, isLeader: role === 'leader' || role === 'master' }] : [];
  });
  return found.toSorted((a, b) => Number(b.isLeader) - Number(a.isLeader));
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

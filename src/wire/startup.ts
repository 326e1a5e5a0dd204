import { MessageBody } from './message-body.ts';
import { Fatal } from './fatal.ts';

/** What a client says first. */
export type StartupRequest =
  | { readonly kind: 'tls' | 'gss' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly key: Buffer }
  | StartupParameters;

export interface StartupParameters {
  readonly kind: 'startup';
  /** The minor version of protocol 3 that it speaks. */
  readonly minor: number;
  readonly user: string;
  readonly database: string;
  /** Settings for the session, by lower-case name, those of `options` among them. */
  readonly settings: ReadonlyMap<string, string>;
  /** Protocol options that are not known here. */
  readonly unknownOptions: readonly string[];
}

const code = { cancel: 80_877_102, tls: 80_877_103, gss: 80_877_104 } as const;

/** The newest minor version that is spoken here: longer cancel keys. */
export const newestMinor = 2;

/** Throws `Fatal` for versions and parameters that cannot be. */
export function readStartup(body: Buffer): StartupRequest {
  const read = new MessageBody(body);
  const version = read.int32();
  if (version === code.tls) return { kind: 'tls' };
  if (version === code.gss) return { kind: 'gss' };
  if (version === code.cancel) return { kind: 'cancel', processId: read.int32(), key: read.rest() };
  const major = version >> 16;
  if (major !== 3) throw new Fatal('0A000', `unsupported frontend protocol ${major}.${version & 0xffff}: server supports 3.0 to 3.${newestMinor}`);
  return parametersOf(version & 0xffff, read);
}

function parametersOf(minor: number, read: MessageBody): StartupParameters {
  const given = new Map<string, string>();
  for (let name = read.text(); name !== ''; name = read.text()) given.set(name, read.text());
  read.end();
  const user = given.get('user');
  if (user === undefined || user === '') throw new Fatal('28000', 'no PostgreSQL user name specified in startup packet');
  if (given.has('replication') && !/^(false|off|no|0)$/i.test(given.get('replication') ?? '')) throw new Fatal('0A000', 'replication is not supported', { hint: 'Connect to the servers of the cluster themselves.' });
  const settings = new Map<string, string>();
  const unknownOptions: string[] = [];
  for (const [name, value] of given) {
    if (name.startsWith('_pq_.')) unknownOptions.push(name);
    else if (!['user', 'database', 'options', 'replication'].includes(name)) settings.set(name.toLowerCase(), value);
  }
  for (const [name, value] of optionsOf(given.get('options') ?? '')) settings.set(name, value);
  return { kind: 'startup', minor, user, database: given.get('database') ?? user, settings, unknownOptions };
}

/** `-c name=value`, `-cname=value`, `--name=value`; a backslash keeps a blank from being one between arguments. */
export function optionsOf(text: string): (readonly [name: string, value: string])[] {
  const words = [...text.matchAll(/(?:\\.|[^\s\\])+/gs)].map(([word]) => word.replaceAll(/\\(.)/gs, '$1'));
  const found: (readonly [string, string])[] = [];
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i] ?? '';
    const assigned = word === '-c' ? (words[(i += 1)] ?? '') : word.startsWith('-c') ? word.slice(2) : word.startsWith('--') ? word.slice(2) : undefined;
    const equals = assigned?.indexOf('=') ?? -1;
    if (assigned === undefined || equals < 1) throw new Fatal('42601', `invalid command-line argument for server process: ${word}`);
    found.push([assigned.slice(0, equals).toLowerCase().replaceAll('-', '_'), assigned.slice(equals + 1)]);
  }
  return found;
}

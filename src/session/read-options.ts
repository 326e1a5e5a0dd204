import type { VariableSetStmt } from '@pgsql/types';
import { ClusterError } from '../base/errors.ts';
import type { ServerFacts } from '../catalog/catalog-snapshot.ts';

/** Where queries of distributed and reference tables read, of nodes that have replicas. */
export interface ReadOptions {
  /** `primary` by default. `prefer-replica`: on a replica within the limits, or on the primary where there is none. `replica`: fails with `noReplica` then. A node with one server alone is read there. */
  readonly reads?: 'primary' | 'prefer-replica' | 'replica' | undefined;
  /** Milliseconds that what a replica shows may be old, at most; it is found to be within them by probes, so replicas are passed over rather than trusted. No limit by default. */
  readonly maxLagMs?: number | undefined;
  /** Bytes of the primary's log that a replica may lack, as of its last probe. No limit by default. */
  readonly maxLagBytes?: number | undefined;
  /** A `readToken`: what it stands for is seen. */
  readonly token?: string | undefined;
}

const choices: ReadonlySet<string> = new Set(['primary', 'prefer-replica', 'replica']);

function isChoice(text: string): text is NonNullable<ReadOptions['reads']> {
  return choices.has(text);
}

/** Throws `invalidParameter`. */
export function checkReadOptions({ reads, maxLagMs, maxLagBytes }: ReadOptions): void {
  if (reads !== undefined && !choices.has(reads)) throw new ClusterError('invalidParameter', `reads must be one of ${[...choices].join(', ')}`, { detail: `It is "${reads}".` });
  for (const [name, value] of Object.entries({ maxLagMs, maxLagBytes })) {
    if (value !== undefined && !(value >= 0)) throw new ClusterError('invalidParameter', `${name} must not be negative`, { detail: `It is ${value}.` });
  }
}

/** Each option as the last says that has it: of the cluster, the role, the client, the session, the query. */
export function mergedReads(...levels: readonly (ReadOptions | undefined)[]): ReadOptions {
  const merged: { -readonly [K in keyof ReadOptions]: ReadOptions[K] } = {};
  for (const level of levels) {
    if (level === undefined) continue;
    if (level.reads !== undefined) merged.reads = level.reads;
    if (level.maxLagMs !== undefined) merged.maxLagMs = level.maxLagMs;
    if (level.maxLagBytes !== undefined) merged.maxLagBytes = level.maxLagBytes;
    if (level.token !== undefined) merged.token = level.token;
  }
  return merged;
}

/** Settings of a session, or of ALTER ROLE and ALTER DATABASE, that say the same. Servers keep them as they keep any setting with a dot in its name. */
const settings: ReadonlyMap<string, keyof ReadOptions> = new Map([
  ['shardwright.reads', 'reads'],
  ['shardwright.max_lag_ms', 'maxLagMs'],
  ['shardwright.max_lag_bytes', 'maxLagBytes'],
  ['shardwright.read_token', 'token'],
]);

/** Whether the session collects tokens of what it writes. */
const collectingSetting = 'shardwright.read_tokens';

/** `name`: in lower case. */
export function isReadSetting(name: string): boolean {
  return settings.has(name) || name === collectingSetting;
}

/** By the setting of the session, or of its role or database. `invalidParameter` for what is neither on nor off. */
export function collectsTokens(valueOf: (name: string) => string | undefined): boolean {
  const value = valueOf(collectingSetting);
  if (value === undefined || /^(off|false|no|0|)$/i.test(value)) return false;
  if (/^(on|true|yes|1)$/i.test(value)) return true;
  throw new ClusterError('invalidParameter', `parameter "${collectingSetting}" requires a Boolean value`, { detail: `It is "${value}".` });
}

/** The options that settings come to; one that is empty, as RESET leaves it, says nothing. `invalidParameter` for values that cannot be, in PostgreSQL's words. */
export function readSettings(valueOf: (name: string) => string | undefined): ReadOptions {
  const read: Record<string, string | number> = {};
  for (const [name, option] of settings) {
    const value = valueOf(name);
    if (value !== undefined && value !== '') read[option] = checkedSetting(name, option, value);
  }
  return read;
}

function checkedSetting(name: string, option: keyof ReadOptions, value: string): string | number {
  if (option === 'token') return value;
  if (option === 'reads') {
    const choice = value.toLowerCase().replaceAll('_', '-');
    if (isChoice(choice)) return choice;
    throw new ClusterError('invalidParameter', `invalid value for parameter "${name}": "${value}"`, { hint: `Available values: ${[...choices].join(', ')}.` });
  }
  if (/^\d+$/.test(value)) return Number(value);
  throw new ClusterError('invalidParameter', `invalid value for parameter "${name}": "${value}"`, { hint: `It is a number of ${option === 'maxLagMs' ? 'milliseconds' : 'bytes'}.` });
}

const none: ReadOptions = {};

/** What ALTER ROLE and ALTER DATABASE say for the cluster's own user. */
export function readsOfServer({ sessionSettings }: Pick<ServerFacts, 'sessionSettings'>): ReadOptions {
  for (const name of settings.keys()) if (sessionSettings[name] !== undefined) return readSettings((one) => sessionSettings[one]);
  return none;
}

/** The value that SET gives to one of these settings; undefined for RESET and SET … TO DEFAULT. `invalidParameter` for what it cannot be. */
export function readSettingSet({ name = '', args = [] }: VariableSetStmt): string | undefined {
  const lower = name.toLowerCase();
  const [arg] = args;
  const constant = arg !== undefined && 'A_Const' in arg ? arg.A_Const : undefined;
  const value = constant?.sval?.sval ?? constant?.fval?.fval ?? (constant?.ival === undefined ? undefined : String(constant.ival.ival ?? 0));
  const valueOf = (one: string): string | undefined => (one === lower ? value : undefined);
  readSettings(valueOf);
  collectsTokens(valueOf);
  return value;
}

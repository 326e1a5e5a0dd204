import type { VariableSetStmt } from '@pgsql/types';
import { ClusterError } from '../base/errors.ts';

/** Citus's settings that mean something here. */
const honoured: ReadonlySet<string> = new Set(['citus.shard_count']);

/** Whether a SET is of one of Citus's settings that means nothing here. */
export function hasNoEffect({ name, kind }: VariableSetStmt): boolean {
  const lower = name?.toLowerCase() ?? '';
  return lower.startsWith('citus.') && kind !== 'VAR_RESET' && !honoured.has(lower);
}

/** `citus.shard_count`; undefined where it is not set. `invalidParameter` for what is no number of shards. */
export function shardCountOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new ClusterError('invalidParameter', `"${text}" is no value for "citus.shard_count"`, { hint: 'SET citus.shard_count to a number of shards.' });
}

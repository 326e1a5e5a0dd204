import type { VariableSetStmt } from '@pgsql/types';
import { ClusterError } from '../base/errors.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';

/**
 * With this setting on, each block of REPEATABLE READ or SERIALIZABLE takes a consistent snapshot when it begins. Servers keep it as they keep any setting with a dot in its
 * name, so that SHOW, SET LOCAL, set_config and the rest do what they do to others.
 */
const settingName = 'shardwright.consistent_snapshots';

/** For `SessionSettings.has`. */
export const consistentSnapshots = /^shardwright\.consistent_snapshots$/;

/** SET and RESET of it take what PostgreSQL takes for a boolean setting; `invalidParameter`, in its words, for all else. */
export function checkConsistentSnapshots({ name, args = [] }: VariableSetStmt): void {
  if (!consistentSnapshots.test(name?.toLowerCase() ?? '')) return;
  const [arg] = args;
  const constant = arg !== undefined && 'A_Const' in arg ? arg.A_Const : undefined;
  const value = constant?.sval?.sval ?? (constant?.ival === undefined ? undefined : String(constant.ival.ival ?? 0));
  if (args.length > 1 || (value !== undefined && booleanOf(value) === undefined)) throw notBoolean();
}

/** Whether it is on in the session of this connection. Takes no snapshot there. */
export async function wantsConsistentSnapshots(connection: NodeConnection): Promise<boolean> {
  const { rows } = await connection.query({ text: `SHOW ${settingName}`, simple: true });
  const value = rows[0]?.[0] ?? '';
  // What RESET leaves.
  if (value === '') return false;
  const on = booleanOf(value);
  if (on === undefined) throw notBoolean();
  return on;
}

/** Whether modes of BEGIN or SET TRANSACTION name a level that has one snapshot for all of the transaction. */
export function hasOneSnapshot(modes: string): boolean {
  return /isolation\s+level\s+(repeatable\s+read|serializable)/i.test(modes);
}

/** A server takes the snapshot of a deferrable transaction when it finds that safe, which the commits of all others would have to wait for. */
export function refuseDeferrable(modes: string): void {
  if (!/(?<!not\s+)deferrable/i.test(modes)) return;
  throw new ClusterError('unsupportedQuery', 'a transaction with a consistent snapshot cannot be DEFERRABLE', { hint: 'Leave out DEFERRABLE, or SET shardwright.consistent_snapshots = off.' });
}

/** As PostgreSQL reads a boolean setting: words in any case, and their beginnings as long as they are clear. */
function booleanOf(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (word === '') return undefined;
  if (word === '1' || word === 'on' || ['true', 'yes'].some((whole) => whole.startsWith(word))) return true;
  if (word === '0' || (word.length > 1 && 'off'.startsWith(word)) || ['false', 'no'].some((whole) => whole.startsWith(word))) return false;
  return undefined;
}

function notBoolean(): ClusterError {
  return new ClusterError('invalidParameter', `parameter "${settingName}" requires a Boolean value`);
}

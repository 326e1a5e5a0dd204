import { canceled } from '../base/abort.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { NodeSettings } from './node-settings.ts';
import { DatabaseError } from 'pg';

/** An attempt to connect failed. The server's own refusal passes through, naming the node; the rest is `nodeUnreachable`. */
export function translateConnectError(error: unknown, { name: nodeName, isCoordinator }: Pick<NodeSettings, 'name' | 'isCoordinator'>): unknown {
  if (error instanceof ClusterError) return error;
  if (!(error instanceof DatabaseError) && isCoordinator === true) {
    return new ClusterError('coordinatorUnreachable', `could not connect to the coordinator database ${nodeName}`, {
      detail: sentence(error),
      hint: 'Statements planned before, for nodes that answer, still run. Check that the server runs there and accepts connections from this host.',
      cause: error,
    });
  }
  if (!(error instanceof DatabaseError)) {
    return new ClusterError('nodeUnreachable', `could not connect to node ${nodeName}`, {
      detail: sentence(error),
      hint: 'Check that the server runs there and accepts connections from this host.',
      cause: error,
    });
  }
  error.hint ??= connectHints[error.code ?? '']?.(nodeName);
  return appendNode(error, nodeName);
}

const connectHints: Readonly<Record<string, ((nodeName: string) => string) | undefined>> = {
  '28P01': (nodeName) => `Check the user and password given for node ${nodeName}.`,
  '28000': (nodeName) => `Check the user given for node ${nodeName} and its pg_hba.conf.`,
  '3D000': (nodeName) => `Create the database, or correct the address of node ${nodeName}.`,
};

/** The connection broke while a statement was under way, or before it could be sent. */
export function connectionLost(cause: unknown, nodeName: string): ClusterError {
  return new ClusterError('connectionLost', `connection to node ${nodeName} was lost`, { detail: sentence(cause), cause });
}

/** The connection broke before a statement was sent, or before the server looked at it: it has certainly not run. */
export function notSent(cause: unknown, { name, isCoordinator }: Pick<NodeSettings, 'name' | 'isCoordinator'>): ClusterError {
  const [id, who] = isCoordinator === true ? (['coordinatorUnreachable', 'the coordinator database'] as const) : (['nodeUnreachable', 'node'] as const);
  return new ClusterError(id, `connection to ${who} ${name} was lost before the statement could run`, { detail: sentence(cause), cause });
}

/** Whether what failed so was never sent, or not looked at. */
export function wasNotSent(error: unknown): boolean {
  return error instanceof ClusterError && (error.id === 'nodeUnreachable' || error.id === 'coordinatorUnreachable');
}

/** Whether a server has told of its own accord that it ends the session. */
export function saysGoodbye(error: unknown): boolean {
  return error instanceof DatabaseError && /^57P0[1-5]$/.test(error.code ?? '');
}

/**
 * A statement's error. The server's own passes through whole, with the node appended to its context, and the shards of which one lacks a column. The coordinator database's says what one PostgreSQL would, and no more.
 */
export function translateStatementError(error: unknown, { name: nodeName, isCoordinator }: Pick<NodeSettings, 'name' | 'isCoordinator'>, text: string): unknown {
  if (!(error instanceof DatabaseError) || isCoordinator === true) return error;
  return appendNode(error, error.code === '42703' ? `${nodeName}${shardsNamed(text)}` : nodeName);
}

const shardsMax = 3;

function shardsNamed(text: string): string {
  const ids = [...new Set([...text.matchAll(/_(\d{6,15})"/g)].map(([, id]) => id))];
  if (ids.length === 0) return '';
  return `, shard${ids.length === 1 ? '' : 's'} ${ids.slice(0, shardsMax).join(', ')}${ids.length > shardsMax ? ', …' : ''}`;
}

/** What an aborted statement fails with: `canceled` if the server did cancel it, else its own error. */
export function translateCanceled(error: unknown, signal: AbortSignal): unknown {
  if (sqlStateOf(error) !== '57014' || error instanceof ClusterError) return error;
  const byCaller = canceled(signal);
  if (byCaller === signal.reason) return byCaller;
  return new ClusterError('canceled', byCaller.message, { cause: error });
}

/** Whether the error means that its connection is gone, by the network or by the server's will. */
export function isConnectionFailure(error: unknown): boolean {
  if (error instanceof ClusterError) return error.id === 'connectionLost' || error.id === 'nodeUnreachable' || error.id === 'coordinatorUnreachable';
  if (!(error instanceof DatabaseError)) return false;
  return error.severity === 'FATAL' || error.severity === 'PANIC' || endsSession.test(error.code ?? '');
}

/** SQLSTATEs of a server that ends the session; the severity may be translated into the server's language. */
const endsSession = /^(08...|57P0[1-5]|25P0[34])$/;

function appendNode(error: DatabaseError, nodeName: string): unknown {
  const line = `node ${nodeName}`;
  error.where = error.where === undefined ? line : `${error.where}\n${line}`;
  return error;
}

function sentence(error: unknown): string {
  const text = error instanceof Error ? describe(error) : String(error);
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}

/** Node reports several refused addresses as one AggregateError without a message. */
function describe(error: Error): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(String).join('; ');
  return error.message === '' ? error.name : error.message;
}

import { ClusterError, sqlStateOf } from '../base/errors.ts';

/** The client and this server do not agree any more on what its bytes mean: the error is told, and then its connection ends. */
export class LostSynchronization extends ClusterError {
  constructor(message: string) {
    super('invalidParameter', message, { sqlState: '08P01' });
  }
}

/** What ends a client's connection, with the SQLSTATE that PostgreSQL has for it. */
export class Fatal extends ClusterError {
  constructor(sqlState: string, message: string, fields: { readonly detail?: string; readonly hint?: string } = {}) {
    super('invalidParameter', message, { sqlState, ...fields });
  }
}

/** The session has asked by `transaction_timeout` to be ended, which servers do to its connections: then, or when the next statement finds a connection gone. */
export function transactionTimedOut(error: unknown): Fatal | undefined {
  for (let one = error; one instanceof Error; one = one.cause) if (sqlStateOf(one) === timedOut) return outOfTime();
  return undefined;
}

export function outOfTime(): Fatal {
  return new Fatal(timedOut, 'terminating connection due to transaction timeout');
}

const timedOut = '25P04';

import { ClusterError } from '../base/errors.ts';

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

import { ClusterError } from '../base/errors.ts';

/** What ends a client's connection, with the SQLSTATE that PostgreSQL has for it. */
export class Fatal extends ClusterError {
  constructor(sqlState: string, message: string, fields: { readonly detail?: string; readonly hint?: string } = {}) {
    super('invalidParameter', message, { sqlState, ...fields });
  }
}

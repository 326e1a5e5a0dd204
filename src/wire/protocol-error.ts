import { ClusterError, type ErrorFields } from '../base/errors.ts';

/** A client does not keep to the protocol, in PostgreSQL's words. */
export function protocolViolation(message: string, { sqlState = '08P01', detail }: Pick<ErrorFields, 'sqlState' | 'detail'> = {}): ClusterError {
  return new ClusterError('invalidParameter', message, { sqlState, detail });
}

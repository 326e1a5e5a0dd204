import { ClusterError } from '../base/errors.ts';

/** A client does not keep to the protocol, in PostgreSQL's words. */
export function protocolViolation(message: string, detail?: string): ClusterError {
  return new ClusterError('invalidParameter', message, { sqlState: '08P01', detail });
}

/** What one client, and all together, may take. */
export interface ServerLimits {
  /** Clients at a time, those that are not authenticated yet among them. */
  readonly connectionsMax: number;
  /** Clients at a time of one role. */
  readonly connectionsPerRoleMax: number;
  /** Of one message of a client: a statement with its values, or a piece of COPY data. */
  readonly messageBytesMax: number;
  /** Until a client must have said who it is. */
  readonly authenticationTimeoutMs: number;
  /** A session that does nothing is ended; 0 for never. */
  readonly idleTimeoutMs: number;
  /** The same of one that leaves a transaction open. */
  readonly idleInTransactionTimeoutMs: number;
}

export const defaultLimits: ServerLimits = {
  connectionsMax: 10_000,
  connectionsPerRoleMax: 10_000,
  messageBytesMax: 256 * 1024 * 1024,
  authenticationTimeoutMs: 60_000,
  idleTimeoutMs: 0,
  idleInTransactionTimeoutMs: 0,
};

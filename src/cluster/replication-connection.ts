/** A slot just made, and the snapshot of all that was committed before it. */
export interface CreatedSlot {
  /** For SET TRANSACTION SNAPSHOT, as long as nothing else is asked of this connection. */
  readonly snapshot: string;
  /** Where the slot's changes begin. */
  readonly consistentPoint: bigint;
}

/** What to stream: changes of the publication's tables in transactions that committed at `from` or later. */
export interface StreamStart {
  readonly slot: string;
  readonly publication: string;
  readonly from: bigint;
}

/** Is told of what the server streams, in order. None may throw. */
export interface StreamEvents {
  /** A message of plugin `pgoutput`, protocol version 1. */
  readonly onMessage: (message: Buffer) => void;
  /** The server has sent all that committed before this position. */
  readonly onKeepAlive: (lsn: bigint) => void;
  /** The stream is over; not called after `end`. */
  readonly onLost: (error: unknown) => void;
}

export interface SlotOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether standbys that synchronize slots take it over, from PostgreSQL 17 on; older servers pass over the wish. No by default. */
  readonly failover?: boolean | undefined;
}

/** One connection in the replication mode of a server, for logical slots of plugin `pgoutput`. Slots outlive it. */
export interface ReplicationConnection {
  /** Waits for all transactions under way on the server that have written, prepared ones too. */
  createSlot(name: string, options?: SlotOptions): Promise<CreatedSlot>;
  /** The timeline that the server writes. */
  timeline(): Promise<number>;
  /** What the server has kept of how it came to a timeline, as a history file's text; a first timeline has none. */
  timelineHistory(timeline: number): Promise<string>;
  /** Nothing else can be asked of the connection from then on. Resolves when the server has begun. */
  stream(start: StreamStart, events: StreamEvents): Promise<void>;
  /** Lets the server forget what lies before, since it will not be asked for again. */
  confirm(lsn: bigint): void;
  /** Reading stops at the server while it is paused. */
  pause(): void;
  resume(): void;
  /** Ends the connection, whatever it does; never throws. */
  end(): Promise<void>;
}


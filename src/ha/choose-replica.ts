export interface ReplicaState<Server> {
  readonly server: Server;
  /** Undefined while it is not known. */
  readonly lagMs: number | undefined;
  readonly lagBytes: number | undefined;
  /** Up to where it has applied the log. */
  readonly lsn: bigint;
  readonly latencyMs: number;
  /** Connections in use. */
  readonly load: number;
}

export interface ReplicaLimits {
  readonly maxLagMs: number | undefined;
  readonly maxLagBytes: number | undefined;
  readonly after: bigint;
}

/** Replicas within the limits of lag, whether or not they have applied what the reader must see. */
export function fitReplicas<Server>(replicas: readonly ReplicaState<Server>[], { maxLagMs, maxLagBytes }: ReplicaLimits): readonly ReplicaState<Server>[] {
  const isWithin = (lag: number | undefined, max: number | undefined): boolean => max === undefined || (lag !== undefined && lag <= max);
  return replicas.filter((replica) => isWithin(replica.lagMs, maxLagMs) && isWithin(replica.lagBytes, maxLagBytes));
}

/** Of replicas within the limits the one that is likely to answer first: by its latency, and what it is at. Undefined when none is fit. */
export function chooseReplica<Server>(replicas: readonly ReplicaState<Server>[], limits: ReplicaLimits): Server | undefined {
  const fit = fitReplicas(replicas, limits).filter(({ lsn }) => lsn >= limits.after);
  const [first, ...others] = fit;
  if (first === undefined) return undefined;
  const cost = ({ latencyMs, load }: ReplicaState<Server>): number => latencyMs * (1 + load);
  return others.reduce((best, one) => (cost(one) < cost(best) ? one : best), first).server;
}

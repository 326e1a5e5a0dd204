import { isBehind, type LogPosition } from '../cluster/log-position.ts';

export interface ReplicaState<Server> {
  readonly server: Server;
  /** Undefined while it is not known. */
  readonly lagMs: number | undefined;
  readonly lagBytes: number | undefined;
  /** Up to where it has applied the log. */
  readonly applied: LogPosition;
  /** Of its probes, the last ones counting most. */
  readonly latencyMs: number;
  /** What this process has under way there. */
  readonly load: number;
}

export interface ReplicaLimits {
  readonly maxLagMs: number | undefined;
  readonly maxLagBytes: number | undefined;
  /** What the reader must see. */
  readonly after: LogPosition | undefined;
}

/** Replicas within the limits of lag, whether or not they have applied what the reader must see. */
export function fitReplicas<Server>(replicas: readonly ReplicaState<Server>[], { maxLagMs, maxLagBytes }: ReplicaLimits): readonly ReplicaState<Server>[] {
  const isWithin = (lag: number | undefined, max: number | undefined): boolean => max === undefined || (lag !== undefined && lag <= max);
  return replicas.filter((replica) => isWithin(replica.lagMs, maxLagMs) && isWithin(replica.lagBytes, maxLagBytes));
}

/**
 * Of replicas within the limits, two are drawn at random, perhaps the same one twice, and the one that is likely to answer first is taken: by its latency, and what it is at. So the quicker ones get more, but never all, and many
 * processes that know the same do not come to the same one at once. Undefined when none is fit. `chance`: from 0 to below 1. Source: Mitzenmacher, The power of two choices in randomized load balancing, 2001.
 */
export function chooseReplica<Server>(replicas: readonly ReplicaState<Server>[], limits: ReplicaLimits, chance: () => number = Math.random): Server | undefined {
  const { after } = limits;
  const fit = fitReplicas(replicas, limits).filter(({ applied }) => after === undefined || !isBehind(applied, after));
  const draw = (): ReplicaState<Server> | undefined => fit[Math.floor(chance() * fit.length)];
  const [one, other] = [draw(), draw()];
  if (one === undefined || other === undefined) return undefined;
  return cost(other) < cost(one) ? other.server : one.server;
}

function cost({ latencyMs, load }: ReplicaState<unknown>): number {
  return latencyMs * (1 + load);
}

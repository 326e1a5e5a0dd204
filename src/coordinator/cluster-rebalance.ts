import { ClusterError } from '../base/errors.ts';
import type { MoveLimits } from '../move/move-context.ts';
import type { RebalanceLimits } from '../rebalance/moves-to-start.ts';
import type { RebalancePlanOptions } from '../rebalance/plan-rebalance.ts';
import type { RebalanceEvent, RebalanceSettings } from '../rebalance/run-rebalance.ts';

/** `parallel`: moves at once, 2 by default. `parallelPerNode`: from one node and to one node, 1 by default. */
export interface RebalanceOptions extends RebalancePlanOptions, Partial<RebalanceLimits>, Partial<MoveLimits> {
  /** Plans only. */
  readonly dryRun?: boolean | undefined;
  /** Of all moves, as of `moveShardGroup` for each. */
  readonly onProgress?: ((event: RebalanceEvent) => void) | undefined;
}

/** Each move takes connections of its own, on the coordinator database two. */
const parallelMax = 16;

/** What is stored with the rebalance. `invalidParameter`. */
export function settingsOf(options: RebalanceOptions): RebalanceSettings {
  const { parallel = 2, parallelPerNode = 1 } = options;
  for (const [name, value] of Object.entries({ parallel, parallelPerNode })) {
    if (!Number.isInteger(value) || value < 1 || value > parallelMax) throw new ClusterError('invalidParameter', `${name} must be an integer from 1 to ${parallelMax}`, { detail: `It is ${value}.` });
  }
  return { parallel, parallelPerNode, ...limitsOf(options) };
}

/** What each of the moves is given. */
function limitsOf({ drainTimeoutMs, retainMs, verify, maxBytesPerSecond, maxRetainedBytes, maxLagMs }: Partial<MoveLimits>): Partial<MoveLimits> {
  const limits: Readonly<Record<keyof MoveLimits, unknown>> = { drainTimeoutMs, retainMs, verify, maxBytesPerSecond, maxRetainedBytes, maxLagMs };
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

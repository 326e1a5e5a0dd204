import type { Callback, NodeNotice, RelayedResult } from '../cluster/node-connection.ts';
import { targetOf } from '../plan/bind.ts';
import type { PreparedPlan } from './planner.ts';
import { groupOf } from './run-statement.ts';
import type { SessionServices } from './session-services.ts';

/** A query whose rows go to a client as the node sends them. */
export interface RelayCall {
  /** Texts. */
  readonly values: readonly (string | null)[];
  /** Of its columns, in a Bind message's manner. Only types that are alike on all servers may be binary. */
  readonly resultFormats: readonly ('text' | 'binary')[];
  /** With more it fails with `ResultTooLong`. */
  readonly bytesMax: number;
}

/** What of a session the query needs. */
interface Relaying {
  readonly services: Pick<SessionServices, 'pools' | 'load' | 'nextNode'>;
  readonly onNotice: ((notice: NodeNotice) => void) | undefined;
}

/**
 * Runs a query that one node answers whole, on a connection that many share, and hands on the node's own messages: no row is read, nothing is promised. False, and nothing has happened, where there is more to it; then
 * the ordinary way is to be taken, which also says what is wrong with the values. `done` is called later, and only once.
 */
export function relaySelect(prepared: PreparedPlan, call: RelayCall, { services, onNotice }: Relaying, done: Callback<RelayedResult>): boolean {
  const { plan, texts } = prepared;
  if (plan.kind !== 'select' || plan.locks || texts === undefined || prepared.lookedUp !== undefined || prepared.parameters !== call.values.length) return false;
  const target = placed(prepared, call.values);
  if (target === undefined || target.kind === 'many') return false;
  const ordinals = target.kind === 'one' ? target.ordinals : [];
  const node = target.kind === 'one' ? target.node : services.nextNode();
  const connections = services.pools.get(node);
  if (connections.relay === undefined) return false;
  const { values, resultFormats, bytesMax } = call;
  const query = { text: target.kind === 'one' ? texts.forUses(ordinals) : texts.forOrdinal(0), values, resultFormats, bytesMax, repeats: prepared.repeats() };
  return connections.relay(query, { onNotice }, (error, result) => {
    if (result === undefined) {
      done(error, undefined);
      return;
    }
    const group = groupOf(plan.uses, ordinals);
    if (group !== undefined) services.load.note(group, result.rows);
    done(undefined, result);
  });
}

function placed({ plan }: PreparedPlan, values: readonly unknown[]): ReturnType<typeof targetOf> | undefined {
  if (plan.kind !== 'select') return undefined;
  try {
    return targetOf(plan, values);
  } catch {
    return undefined;
  }
}

import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from '../base/errors.ts';
import { sizeText } from '../base/size-text.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';


/** A slot that is read, or will be. */
export interface WatchedSlot {
  readonly node: NodeConnections;
  readonly name: string;
}

/** Whom a slot belongs to, for the error that says that it is of no use any more. */
export interface SlotOwner {
  readonly error: 'moveUndone' | 'feedLost';
  /** As in: keeps its log for … */
  readonly name: string;
  /** What helps, a sentence without its full stop. */
  readonly remedy: string;
}

interface Watch {
  readonly owner: SlotOwner;
  /** The most of its log that a source may keep for the slot. */
  readonly maxRetainedBytes: number | undefined;
  /** False while the slot may not be made yet. */
  readonly isMade: boolean;
  readonly onRetained: (bytes: number) => void;
  /** Called once: the owner cannot go on. */
  readonly onTrouble: (error: ClusterError) => void;
}

const everyMs = 1_000;

/** Looks after slots now and then, until disposed: whether the source still keeps what they will read, and how much that is. A source that does not answer is nobody's trouble here. */
export function watchSlots(slots: readonly WatchedSlot[], watch: Watch): Disposable {
  const over = new AbortController();
  const look = async (): Promise<void> => {
    for (;;) {
      await delay(everyMs, undefined, { signal: over.signal, ref: false });
      const found = await Promise.all(slots.map((slot) => readSlot(slot).catch(() => undefined)));
      over.signal.throwIfAborted();
      watch.onRetained(Math.max(0, ...found.map((slot) => slot?.retainedBytes ?? 0)));
      const trouble = found.map((slot) => (slot === undefined ? undefined : judgeSlot(slot, watch))).find((error) => error !== undefined);
      if (trouble === undefined) continue;
      watch.onTrouble(trouble);
      return;
    }
  };
  look().catch(() => undefined);
  return { [Symbol.dispose]: () => over.abort() };
}

/** As pg_replication_slots has it. */
export interface SlotState {
  readonly node: string;
  /** `reserved`, `extended`, `unreserved`, `lost`; null when the slot is not there. */
  readonly status: string | null;
  readonly retainedBytes: number;
  /** Whether somebody reads it. */
  readonly active: boolean;
}

/** Why the owner of such a slot cannot go on; undefined when it can. */
export function judgeSlot({ node, status, retainedBytes }: Omit<SlotState, 'active'>, { maxRetainedBytes = Infinity, isMade, owner }: Pick<Watch, 'maxRetainedBytes' | 'isMade' | 'owner'>): ClusterError | undefined {
  if (status === null && isMade) return new ClusterError(owner.error, `the replication slot on node ${node} is gone`, { detail: 'Somebody dropped it, or a server was promoted that did not have it.', hint: `${owner.remedy}.` });
  if (status === 'lost') {
    return new ClusterError(owner.error, `the replication slot on node ${node} is lost`, {
      detail: 'The server has thrown away log that the slot had not read yet (max_slot_wal_keep_size, or idle_replication_slot_timeout).', hint: `${owner.remedy}, at a quieter time, or let the server keep more.`,
    });
  }
  if (retainedBytes <= maxRetainedBytes) return undefined;
  return new ClusterError(owner.error, `node ${node} keeps ${sizeText(retainedBytes)} of its log for ${owner.name}`, {
    detail: `That is more than maxRetainedBytes, ${sizeText(maxRetainedBytes)}.`, hint: `${owner.remedy}, at a quieter time, or with a higher limit.`,
  });
}

export async function readSlot({ node, name }: WatchedSlot): Promise<SlotState> {
  const text = `SELECT wal_status, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn), active FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`;
  const { rows } = await node.query({ text, values: [name] });
  return { node: node.name, status: rows[0]?.[0] ?? null, retainedBytes: Number(rows[0]?.[1] ?? 0), active: rows[0]?.[2] === 't' };
}

import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from '../base/errors.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import { sizeText } from './preflight/preflight-check.ts';

/** A slot that a job has made, and reads or will read. */
export interface WatchedSlot {
  readonly node: NodeConnections;
  readonly name: string;
}

interface Watch {
  /** The most of its log that a source may keep for the slot. */
  readonly maxRetainedBytes: number | undefined;
  /** False while the slot may not be made yet. */
  readonly isMade: boolean;
  readonly onRetained: (bytes: number) => void;
  /** Called once: the job cannot go on. */
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
}

/** Why a job whose slot is so cannot go on; undefined when it can. */
export function judgeSlot({ node, status, retainedBytes }: SlotState, { maxRetainedBytes = Infinity, isMade }: Pick<Watch, 'maxRetainedBytes' | 'isMade'>): ClusterError | undefined {
  if (status === null && isMade) return new ClusterError('moveUndone', `the replication slot on node ${node} is gone`, { detail: 'Somebody dropped it.', hint: 'Start the move again.' });
  if (status === 'lost') {
    return new ClusterError('moveUndone', `the replication slot on node ${node} is lost`, {
      detail: 'The server has thrown away log that the slot had not read yet (max_slot_wal_keep_size, or idle_replication_slot_timeout).', hint: 'Start the move again at a quieter time, or let the server keep more.',
    });
  }
  if (retainedBytes <= maxRetainedBytes) return undefined;
  return new ClusterError('moveUndone', `node ${node} keeps ${sizeText(retainedBytes)} of its log for the move`, {
    detail: `That is more than maxRetainedBytes, ${sizeText(maxRetainedBytes)}.`, hint: 'Start the move again at a quieter time, or with a higher limit.',
  });
}

async function readSlot({ node, name }: WatchedSlot): Promise<SlotState> {
  const text = `SELECT wal_status, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`;
  const { rows } = await node.query({ text, values: [name] });
  return { node: node.name, status: rows[0]?.[0] ?? null, retainedBytes: Number(rows[0]?.[1] ?? 0) };
}

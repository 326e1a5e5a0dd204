import { setTimeout as delay } from 'node:timers/promises';
import { sqlStateOf } from '../base/errors.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';

const again = { attemptsMax: 100, waitMs: 50 } as const;

/** Without effect when it is not there. A walsender that still has it belongs to a process that has no right to it any more, and is ended. */
export async function dropSlot(source: NodeConnections, slot: string, signal?: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const ended = 'SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL';
      await source.query({ text: ended, values: [slot] }, { signal });
      await source.query({ text: 'SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1', values: [slot] }, { signal });
      return;
    } catch (error) {
      if (attempt === again.attemptsMax || !['55006', '42704'].includes(sqlStateOf(error) ?? '')) throw error;
      await delay(again.waitMs, undefined, { signal });
    }
  }
}

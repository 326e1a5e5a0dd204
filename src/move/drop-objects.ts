import type { NodeConnections } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { unmakeNode } from './add-node/unmake-node.ts';
import { dropSlot } from '../replication/drop-slot.ts';
import type { JobObject } from '../store/jobs.ts';
import { runWithShortLocks, type ShortLocks } from '../cluster/with-connection.ts';

/** Ends sessions that hold locks on tables which are this move's alone: they are of a process that does not work on it any more. */
export async function endOtherUsers(target: NodeConnections, tables: readonly string[], signal: AbortSignal): Promise<void> {
  const text = `SELECT pg_catalog.pg_terminate_backend(pid, 1000) FROM pg_catalog.pg_locks
    WHERE relation = ANY ($1::text[]::pg_catalog.regclass[]::pg_catalog.oid[]) AND pid <> pg_catalog.pg_backend_pid()`;
  await target.query({ text, values: [tables] }, { signal });
}

/** Old shards refer to reference tables, which cannot be let go of while a transaction uses those: one that stays open would hold up whoever waits for the move. */
export const lockPatienceMs = 2_000;

/** Removes one thing that a job has made; without effect when it is not there. Fails with a lock conflict when others have it in use for long. */
export async function dropObject(pools: NodePools, { node, kind, name, detail }: JobObject, signal: AbortSignal): Promise<void> {
  const server = pools.get(node);
  const locks = { signal, patienceMs: lockPatienceMs };
  switch (kind) {
    case 'slot':
      return dropSlot(server, name, signal);
    case 'publication':
      return runWithShortLocks(server, [`DROP PUBLICATION IF EXISTS ${name}`], locks);
    case 'replica_identity':
      return restoreIdentity(server, { oid: name, identity: detail ?? 'DEFAULT' }, locks);
    case 'schema':
      return runWithShortLocks(server, [`DROP SCHEMA IF EXISTS ${name} CASCADE`], locks);
    case 'node':
      return unmakeNode(server, { clusterId: name, made: detail }, signal);
  }
}

/** By its OID: it may have another name by now. */
async function restoreIdentity(server: NodeConnections, { oid, identity }: { readonly oid: string; readonly identity: string }, locks: ShortLocks): Promise<void> {
  const text = `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1`;
  const { rows } = await server.query({ text, values: [oid] }, { signal: locks.signal });
  const name = rows[0]?.[0];
  if (typeof name === 'string') await runWithShortLocks(server, [`ALTER TABLE ${name} REPLICA IDENTITY ${identity}`], locks);
}

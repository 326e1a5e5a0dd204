import { setTimeout as delay } from 'node:timers/promises';
import { orAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { nodeId, type NodeId } from '../catalog/ids.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { parseGid } from './gid.ts';
import { type BlockedProcess, type Cycle, findCycle, type Member } from './wait-graph.ts';

/** A transaction over several servers, while it runs. */
export interface WatchedTransaction {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly began: number;
  readonly connections: ReadonlyMap<NodeId, NodeConnection>;
}

const intervalMs = 400;
/** Younger transactions are not looked at: most are over by then. */
const patienceMs = 300;
/** A cycle must still be there after so long: servers are asked one after the other, and what they say together may never have been true. */
const againMs = 50;
const answerMs = 2_000;

/**
 * Finds transactions that wait for each other over several servers, which no server can see: each looks like waiting for a lock. While some transaction of this process
 * has lasted a while and waits, its processes are written into a table of the coordinator database, where those of other processes stand, too. The youngest in
 * a circle is given up by its own process, with 40P01.
 */
export class DeadlockWatch {
  readonly #running = new Set<WatchedTransaction>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  /** Whether rows of this process may be in the table. */
  readonly #told = new Set<string>();

  constructor(private readonly pools: NodePools) {}

  enter(transaction: WatchedTransaction): void {
    this.#running.add(transaction);
    this.#timer ??= setInterval(() => void this.#look(), intervalMs).unref();
  }

  leave(transaction: WatchedTransaction): void {
    this.#running.delete(transaction);
    if (this.#running.size === 0 && this.#told.size === 0 && !this.#looking) this.end();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** What goes wrong here is tried again the next time; the transactions themselves are told by their own connections. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      await this.#lookOnce();
    } catch {
      // Some server does not answer.
    } finally {
      this.#looking = false;
      if (this.#running.size === 0 && this.#told.size === 0) this.end();
    }
  }

  async #lookOnce(): Promise<void> {
    const old = [...this.#running].filter(({ began }) => Date.now() - began > patienceMs);
    const blocked = old.length === 0 ? [] : await this.#blocked();
    const waiting = old.filter(({ connections }) => [...connections].some(([node, { processId }]) => blocked.some((process) => process.node === node && process.pid === processId)));
    await this.#tell(waiting);
    if (waiting.length === 0) return;
    const members = await this.#members();
    const found = waiting.map(({ id }) => findCycle(id, blocked, members)).filter((cycle) => cycle !== undefined);
    if (found.length === 0) return;
    await delay(againMs);
    const [still, again] = [await this.#blocked(), await this.#members()];
    for (const transaction of waiting) {
      const cycle = this.#running.has(transaction) ? findCycle(transaction.id, still, again) : undefined;
      if (cycle?.victim === transaction.id && found.some(({ key }) => key === cycle.key)) giveUp(transaction, cycle);
    }
  }

  async #blocked(): Promise<BlockedProcess[]> {
    const answers = await Promise.allSettled(this.pools.nodeIds.map(async (node) => {
      const { rows } = await orAborted(this.pools.get(node).query({ text: blockedSql, simple: true }), AbortSignal.timeout(answerMs));
      return rows.map(([pid, blockers, gid]): BlockedProcess => {
        const prepared = parseGid(gid ?? '')?.transactionId;
        return { node, pid: Number(pid), blockers: JSON.parse(blockers ?? '[]') as number[], prepared: prepared === undefined ? [] : [prepared] };
      });
    }));
    // One that does not answer shows no circle; those of the others are found.
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  }

  async #tell(waiting: readonly WatchedTransaction[]): Promise<void> {
    const coordinator = this.pools.get(coordinatorNodeId);
    const rows = waiting.flatMap(({ id, began, connections }) => [...connections].map(([node, { processId }]) => ({ id, node, pid: processId, began })));
    const over = [...this.#told].filter((id) => !waiting.some((transaction) => transaction.id === id));
    if (rows.length > 0) {
      await coordinator.query({ text: tellSql, values: [rows.map(({ id }) => id), rows.map(({ node }) => String(node)), rows.map(({ pid }) => String(pid)), rows.map(({ began }) => String(began))] });
    }
    if (over.length > 0) await coordinator.query({ text: forgetSql, values: [over] });
    this.#told.clear();
    for (const { id } of rows) this.#told.add(id);
  }

  async #members(): Promise<Member[]> {
    const { rows } = await this.pools.get(coordinatorNodeId).query({ text: membersSql });
    return rows.map(([transactionId, node, pid, began]) => ({ transactionId: transactionId ?? '', node: nodeId(Number(node)), pid: Number(pid), began: Number(began) }));
  }
}

/** On all its servers: on another one it may wait for somebody else. */
function giveUp({ connections }: WatchedTransaction, { waits: { node, pid, blockers } }: Cycle): void {
  const error = new ClusterError('deadlockDetected', 'deadlock detected', {
    detail: `Process ${pid} of node ${node} waits for ${blockers.some((blocker) => blocker !== 0) ? `process ${blockers.join(', ')}` : 'a prepared transaction'} there, and that one, or one that it waits for, waits for this one on another node.`,
    hint: 'Try the transaction again. Touch rows in the same order everywhere to avoid this.',
  });
  for (const connection of connections.values()) connection.interrupt(error);
}

/** Who waits for a row or a key waits for the transaction that has it, by its number. */
const blockedSql = `SELECT a.pid, pg_catalog.array_to_json(pg_catalog.pg_blocking_pids(a.pid)),
    (SELECT p.gid FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = l.transactionid WHERE l.pid = a.pid AND NOT l.granted LIMIT 1)
  FROM pg_catalog.pg_stat_activity a WHERE a.datname = pg_catalog.current_database() AND a.wait_event_type = 'Lock'`;

const tellSql = `INSERT INTO shardwright.waiting (transaction_id, node_id, pid, began)
  SELECT * FROM ROWS FROM (unnest($1::text[]), unnest($2::int[]), unnest($3::int[]), unnest($4::bigint[]))
  ON CONFLICT (transaction_id, node_id) DO UPDATE SET pid = excluded.pid, seen_at = clock_timestamp()`;

/** Those of processes that died, too. */
const forgetSql = `DELETE FROM shardwright.waiting WHERE transaction_id = ANY ($1::text[]) OR seen_at < clock_timestamp() - interval '1 minute'`;

const membersSql = `SELECT transaction_id, node_id, pid, began FROM shardwright.waiting WHERE seen_at > clock_timestamp() - interval '5 seconds'`;

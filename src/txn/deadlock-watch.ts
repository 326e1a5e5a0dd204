import { setTimeout as delay } from 'node:timers/promises';
import { orAborted } from '../base/abort.ts';
import { FailureCounter } from '../base/background-work.ts';
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

  readonly #failures: FailureCounter;

  /** `onTrouble` hears of what goes wrong three times in a row. */
  constructor(private readonly pools: NodePools, onTrouble: (error: unknown) => void) {
    this.#failures = new FailureCounter(onTrouble);
  }

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
      this.#failures.succeeded();
    } catch (error) {
      if (this.#timer !== undefined) this.#failures.failed(error);
    } finally {
      this.#looking = false;
      if (this.#running.size === 0 && this.#told.size === 0) this.end();
    }
  }

  async #lookOnce(): Promise<void> {
    const old = [...this.#running].filter(({ began }) => Date.now() - began > patienceMs);
    const seen = old.length === 0 ? nobody : await this.#see();
    const waiting = old.filter(({ connections }) => [...connections].some(([node, { processId }]) => seen.blocked.some((process) => process.node === node && process.pid === processId)));
    await this.#tell(waiting, seen);
    if (waiting.length === 0) return;
    const members = await this.#members();
    const found = waiting.map(({ id }) => findCycle(id, seen.blocked, members)).filter((cycle) => cycle !== undefined);
    if (found.length === 0) return;
    await delay(againMs);
    const [still, again] = [await this.#see(), await this.#members()];
    for (const transaction of waiting) {
      const cycle = this.#running.has(transaction) ? findCycle(transaction.id, still.blocked, again) : undefined;
      if (cycle?.victim === transaction.id && found.some(({ key }) => key === cycle.key)) giveUp(transaction, cycle);
    }
  }

  async #see(): Promise<Seen> {
    const answers = await Promise.allSettled(this.pools.nodeIds.map(async (node) => {
      const { rows } = await orAborted(this.pools.get(node).query({ text: openSql, simple: true }), AbortSignal.timeout(answerMs));
      const started = new Map(rows.map(([pid, at]) => [Number(pid), at ?? '']));
      const blocked = rows.flatMap(([pid, at, blockers, gid]): BlockedProcess[] => {
        if (blockers === null || blockers === undefined) return [];
        const prepared = parseGid(gid ?? '')?.transactionId;
        const pids = JSON.parse(blockers) as number[];
        return [{ node, pid: Number(pid), started: at ?? '', blockers: pids.map((one) => ({ pid: one, started: started.get(one) ?? '' })), prepared: prepared === undefined ? [] : [prepared] }];
      });
      return { node, started, blocked };
    }));
    // One that does not answer shows no circle; those of the others are found.
    const answered = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    return { started: new Map(answered.map(({ node, started }) => [node, started])), blocked: answered.flatMap(({ blocked }) => blocked) };
  }

  async #tell(waiting: readonly WatchedTransaction[], { started }: Seen): Promise<void> {
    const coordinator = this.pools.get(coordinatorNodeId);
    const rows = waiting.flatMap(({ id, began, connections }) => [...connections].map(([node, { processId: pid }]) => ({ id, node, pid, began, started: started.get(node)?.get(pid) ?? '' })));
    const over = [...this.#told].filter((id) => !waiting.some((transaction) => transaction.id === id));
    if (rows.length > 0) {
      await coordinator.query({ text: tellSql, values: [rows.map(({ id }) => id), rows.map(({ node }) => String(node)), rows.map(({ pid }) => String(pid)), rows.map(({ began }) => String(began)), rows.map((row) => row.started)] });
    }
    if (over.length > 0) await coordinator.query({ text: forgetSql, values: [over] });
    this.#told.clear();
    for (const { id } of rows) this.#told.add(id);
  }

  async #members(): Promise<Member[]> {
    const { rows } = await this.pools.get(coordinatorNodeId).query({ text: membersSql });
    return rows.map(([transactionId, node, pid, began, started]) => ({ transactionId: transactionId ?? '', node: nodeId(Number(node)), pid: Number(pid), began: Number(began), started: started ?? '' }));
  }
}

/** What the servers say of themselves. */
interface Seen {
  /** When each process began its transaction. */
  readonly started: ReadonlyMap<NodeId, ReadonlyMap<number, string>>;
  readonly blocked: readonly BlockedProcess[];
}

const nobody: Seen = { started: new Map(), blocked: [] };

/** On all its servers: on another one it may wait for somebody else. */
function giveUp({ connections }: WatchedTransaction, { waits: { node, pid, blockers } }: Cycle): void {
  const error = new ClusterError('deadlockDetected', 'deadlock detected', {
    detail: `Process ${pid} of node ${node} waits for ${blockers.some(({ pid: blocker }) => blocker !== 0) ? `process ${blockers.map(({ pid: blocker }) => blocker).join(', ')}` : 'a prepared transaction'} there, and that one, or one that it waits for, waits for this one on another node.`,
    hint: 'Try the transaction again. Touch rows in the same order everywhere to avoid this.',
  });
  for (const connection of connections.values()) connection.interrupt(error);
}

/** All that is in a transaction; of what waits, for whom. Who waits for a row or a key waits for the transaction that has it, by its number. */
const openSql = `SELECT a.pid, (extract(epoch FROM a.xact_start) * 1000000)::bigint,
    CASE WHEN a.wait_event_type = 'Lock' THEN pg_catalog.array_to_json(pg_catalog.pg_blocking_pids(a.pid)) END,
    CASE WHEN a.wait_event_type = 'Lock' THEN (SELECT p.gid FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = l.transactionid WHERE l.pid = a.pid AND NOT l.granted LIMIT 1) END
  FROM pg_catalog.pg_stat_activity a WHERE a.datname = pg_catalog.current_database() AND a.xact_start IS NOT NULL`;

const tellSql = `INSERT INTO shardwright.waiting (transaction_id, node_id, pid, began, started)
  SELECT * FROM ROWS FROM (unnest($1::text[]), unnest($2::int[]), unnest($3::int[]), unnest($4::bigint[]), unnest($5::text[]))
  ON CONFLICT (transaction_id, node_id) DO UPDATE SET pid = excluded.pid, started = excluded.started, seen_at = clock_timestamp()`;

/** Those of processes that died, too. */
const forgetSql = `DELETE FROM shardwright.waiting WHERE transaction_id = ANY ($1::text[]) OR seen_at < clock_timestamp() - interval '1 minute'`;

const membersSql = `SELECT transaction_id, node_id, pid, began, started FROM shardwright.waiting WHERE seen_at > clock_timestamp() - interval '5 seconds'`;

import type { NodeId } from '../catalog/ids.ts';

/** A server process that waits for a lock, and those that hold or wait for it before. */
export interface BlockedProcess {
  readonly node: NodeId;
  readonly pid: number;
  readonly blockers: readonly number[];
  /** Prepared transactions among those, which have no process any more. */
  readonly prepared: readonly string[];
}

/** A server process of a transaction over several servers. */
export interface Member {
  readonly transactionId: string;
  readonly node: NodeId;
  readonly pid: number;
  /** Milliseconds; later means younger. */
  readonly began: number;
}

export interface Cycle {
  /** The youngest: it has done least, and of all who see the cycle each finds the same one. */
  readonly victim: string;
  /** Where the victim waits. */
  readonly waits: BlockedProcess;
  /** The same for the same cycle. */
  readonly key: string;
}

/**
 * Transactions that wait for each other in a circle over more than one server, beginning at `from`; undefined when there is none. What waits on one server alone is that
 * server's to find. Time: edges of the graph.
 */
export function findCycle(from: string, blocked: readonly BlockedProcess[], members: readonly Member[]): Cycle | undefined {
  const nameOf = nameProcesses(members);
  const waiting = new Map<string, BlockedProcess[]>();
  for (const process of blocked) {
    const name = nameOf(process.node, process.pid);
    waiting.set(name, [...(waiting.get(name) ?? []), process]);
  }
  const seen = new Set<string>();
  const path: BlockedProcess[] = [];
  const reaches = (name: string): boolean => {
    for (const process of waiting.get(name) ?? []) {
      path.push(process);
      for (const next of [...process.prepared, ...process.blockers.filter((pid) => pid !== 0).map((pid) => nameOf(process.node, pid))]) {
        if (next === from) return true;
        if (seen.has(next)) continue;
        seen.add(next);
        if (reaches(next)) return true;
      }
      path.pop();
    }
    return false;
  };
  if (!reaches(from) || new Set(path.map(({ node }) => node)).size < 2) return undefined;
  return cycleOf(path, members);
}

function nameProcesses(members: readonly Member[]): (node: NodeId, pid: number) => string {
  const names = new Map(members.map(({ node, pid, transactionId }) => [`${node}:${pid}`, transactionId]));
  return (node, pid) => names.get(`${node}:${pid}`) ?? `${node}:${pid}`;
}

function cycleOf(path: readonly BlockedProcess[], members: readonly Member[]): Cycle | undefined {
  const own = path.flatMap((process) => {
    const member = members.find(({ node, pid }) => node === process.node && pid === process.pid);
    return member === undefined ? [] : [{ member, process }];
  });
  const youngest = own.toSorted((a, b) => b.member.began - a.member.began || (a.member.transactionId < b.member.transactionId ? 1 : -1))[0];
  if (youngest === undefined) return undefined;
  const key = path.map(({ node, pid, blockers, prepared }) => `${node}:${pid}>${[...blockers, ...prepared].join('+')}`).toSorted((a, b) => (a < b ? -1 : 1)).join(' ');
  return { victim: youngest.member.transactionId, waits: youngest.process, key };
}

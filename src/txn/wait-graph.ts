import type { NodeId } from '../catalog/ids.ts';

/** One transaction of a server process. A pooled connection's process has many, one after the other; when they began tells them apart. */
export interface ServerTransaction {
  readonly pid: number;
  /** `xact_start`, in microseconds since 1970 by the server's clock. */
  readonly started: string;
}

/** A server process that waits for a lock, and those that hold or wait for it before. */
export interface BlockedProcess extends ServerTransaction {
  readonly node: NodeId;
  readonly blockers: readonly ServerTransaction[];
  /** Prepared transactions among those, which have no process any more. */
  readonly prepared: readonly string[];
}

/** A server's part of a transaction over several servers. */
export interface Member extends ServerTransaction {
  readonly transactionId: string;
  readonly node: NodeId;
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
    const name = nameOf(process.node, process);
    waiting.set(name, [...(waiting.get(name) ?? []), process]);
  }
  const seen = new Set<string>();
  const path: BlockedProcess[] = [];
  const reaches = (name: string): boolean => {
    for (const process of waiting.get(name) ?? []) {
      path.push(process);
      for (const next of [...process.prepared, ...process.blockers.filter(({ pid }) => pid !== 0).map((blocker) => nameOf(process.node, blocker))]) {
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

function nameProcesses(members: readonly Member[]): (node: NodeId, process: ServerTransaction) => string {
  const names = new Map(members.map((member) => [placeOf(member.node, member), member.transactionId]));
  return (node, process) => names.get(placeOf(node, process)) ?? placeOf(node, process);
}

function placeOf(node: NodeId, { pid, started }: ServerTransaction): string {
  return `${node}:${pid}@${started}`;
}

function cycleOf(path: readonly BlockedProcess[], members: readonly Member[]): Cycle | undefined {
  const own = path.flatMap((process) => {
    const member = members.find((one) => placeOf(one.node, one) === placeOf(process.node, process));
    return member === undefined ? [] : [{ member, process }];
  });
  const youngest = own.toSorted((a, b) => b.member.began - a.member.began || (a.member.transactionId < b.member.transactionId ? 1 : -1))[0];
  if (youngest === undefined) return undefined;
  const key = path.map((process) => `${placeOf(process.node, process)}>${[...process.blockers.map((blocker) => placeOf(process.node, blocker)), ...process.prepared].join('+')}`).toSorted((a, b) => (a < b ? -1 : 1)).join(' ');
  return { victim: youngest.member.transactionId, waits: youngest.process, key };
}

import { inTime } from '../base/in-time.ts';
import { ClusterError } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { probe } from '../cluster/probe.ts';
import type { ServerState } from './health-machine.ts';
import type { ReplicatedNodes } from './replicated-nodes.ts';
import type { ServerWatch } from './server-watch.ts';
import type { WatchedServer } from './watched-server.ts';

/** One server, as this process sees it. */
export interface ServerHealth extends ServerAddress {
  /** The IP address at which it was reached last, of a node with several servers: what its name stands for. */
  readonly address: string | undefined;
  /** Id of its node; 0 for the coordinator database. */
  readonly node: number;
  /** What it said of itself; undefined when it does not answer. */
  readonly role: 'primary' | 'replica' | undefined;
  /** What it is taken for, and why. */
  readonly state: ServerState;
  readonly why: string;
  readonly timeline: number | undefined;
  /** Of a replica: bytes of the primary's log that it has not applied; undefined without a primary. */
  readonly lagBytes: number | undefined;
  /** Of a replica: what it shows is at most so many milliseconds old; undefined while that is not known. */
  readonly lagMs: number | undefined;
  /** Of the last question that it answered. */
  readonly latencyMs: number | undefined;
}

const timeoutMs = 2_000;

/** Asks all servers of all nodes, and of the coordinator database. */
export async function clusterHealth(pools: NodePools, replicated: ReplicatedNodes): Promise<ServerHealth[]> {
  const found = await Promise.all(pools.nodeIds.map(async (node) => {
    const connections = pools.get(node);
    const watch = replicated.of(node)?.watch;
    if (watch === undefined) return [await onlyServer(node, connections)];
    await watch.lookAgain();
    return watch.servers.map((server) => ({ node, ...serverHealth(server, watch) }));
  }));
  return found.flat();
}

function serverHealth(server: WatchedServer, watch: ServerWatch): Omit<ServerHealth, 'node'> {
  const { address, health: { state, why }, latencyMs, failure } = server;
  const answer = failure === undefined ? server.answer : undefined;
  const isReplica = answer?.inRecovery === true;
  return {
    ...address, address: server.ip, state, why, latencyMs,
    role: answer === undefined ? undefined : isReplica ? 'replica' : 'primary',
    timeline: answer?.timeline,
    lagBytes: isReplica ? watch.lagBytes(server) : undefined,
    lagMs: isReplica ? watch.lagMs(server) : undefined,
  };
}

async function onlyServer(node: NodeId, connections: NodeConnections): Promise<ServerHealth> {
  const [, host = '', port = ''] = /^(.*):(\d+)\//.exec(connections.name) ?? [];
  const base = { node, host, port: Number(port), address: undefined, lagBytes: undefined, lagMs: undefined };
  const begunMs = performance.now();
  try {
    const { inRecovery, timeline } = await inTime(probe(connections), timeoutMs, new ClusterError('nodeUnreachable', `node ${connections.name} did not answer within ${timeoutMs} ms`));
    const latencyMs = performance.now() - begunMs;
    return { ...base, role: inRecovery ? 'replica' : 'primary', state: inRecovery ? 'replica' : 'primary', why: inRecovery ? 'is in recovery' : 'is the only server', timeline, latencyMs };
  } catch (error) {
    return { ...base, role: undefined, state: 'down', why: error instanceof Error ? error.message : String(error), timeline: undefined, latencyMs: undefined };
  }
}

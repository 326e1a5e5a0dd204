import { randomUUID } from 'node:crypto';
import type { NodeId } from '../catalog/ids.ts';
import { nodeId } from '../catalog/ids.ts';
import type { ReplicatedConnections } from './replicated-connections.ts';
import { followSwitchover } from './switch-over.ts';

/**
 * What a process tells the others of a node's servers:
 * - `switchover`: one begins, away from the primary of that timeline: hold what has not begun, until there is a newer one, for so long at most;
 * - `changed`: something has changed, or a switchover is over, in whatever way: ask them all.
 */
export type ServerNews =
  | { readonly kind: 'switchover'; readonly node: NodeId; readonly timeline: number; readonly timeoutMs: number }
  | { readonly kind: 'changed'; readonly node: NodeId };

const timeoutMsMax = 120_000;

/** Writes and reads news, and does what they ask for. What this process has said itself it does not hear. */
export class ServerNewsDesk {
  readonly #own = randomUUID();
  readonly #following = new Map<NodeId, Set<AbortController>>();

  constructor(private readonly connectionsOf: (node: NodeId) => readonly ReplicatedConnections[]) {}

  format(news: ServerNews): string {
    return JSON.stringify({ by: this.#own, ...news });
  }

  /** Never throws: what cannot be read is of a later version, and what cannot be followed ends by itself. */
  hear(payload: string): void {
    const said = read(payload);
    if (said === undefined || said.by === this.#own) return;
    const { news } = said;
    const connections = this.connectionsOf(news.node);
    if (news.kind === 'switchover') this.#follow(news, connections);
    else {
      for (const following of this.#following.get(news.node) ?? []) following.abort();
      for (const { watch } of connections) void watch.lookAround();
    }
  }

  #follow({ node, timeline, timeoutMs }: Extract<ServerNews, { kind: 'switchover' }>, connections: readonly ReplicatedConnections[]): void {
    const over = new AbortController();
    const all = this.#following.get(node) ?? new Set();
    this.#following.set(node, all.add(over));
    void followSwitchover(connections, { timeline, timeoutMs: Math.min(timeoutMs, timeoutMsMax), signal: over.signal }).finally(() => all.delete(over));
  }

  end(): void {
    for (const all of this.#following.values()) for (const following of all) following.abort();
  }
}

function read(payload: string): { readonly by: unknown; readonly news: ServerNews } | undefined {
  const fields = parse(payload);
  const { by, kind, node, timeline, timeoutMs } = fields;
  if (typeof node !== 'number') return undefined;
  if (kind === 'changed') return { by, news: { kind, node: nodeId(node) } };
  if (kind === 'switchover' && typeof timeline === 'number' && typeof timeoutMs === 'number') return { by, news: { kind, node: nodeId(node), timeline, timeoutMs } };
  return undefined;
}

function parse(payload: string): Readonly<Record<string, unknown>> {
  try {
    const document: unknown = JSON.parse(payload);
    return typeof document === 'object' && document !== null ? (document as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { PostgresServer } from './postgres-server.ts';
import { slotOf, takesOverSlots } from './standby.ts';
import { withServer } from './with-server.ts';

/**
 * A primary and its standbys, with what may become of them. With `synchronous` a commit waits until a standby has it on its disk; while there is no standby, commits do not wait.
 */
export class ServerGroup {
  /** In the order of their making, whatever they are now. */
  readonly #servers: PostgresServer[];
  /** Killed by a failover, and not back yet. */
  readonly #lost = new Set<PostgresServer>();
  #primary: PostgresServer;

  constructor(
    primary: PostgresServer,
    private readonly synchronous: boolean,
  ) {
    this.#primary = primary;
    this.#servers = [primary];
  }

  get primary(): PostgresServer {
    return this.#primary;
  }

  /** All, in the order of their making: so addresses stay in place. */
  get servers(): readonly PostgresServer[] {
    return this.#servers;
  }

  get replicas(): readonly PostgresServer[] {
    return this.#servers.filter((server) => server !== this.#primary && !this.#lost.has(server));
  }

  async addReplica(port: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    this.#servers.push(await this.#primary.startStandby({ port, signal }));
    await this.#waitForReplica();
  }

  /** Kills the primary as a crash would, and promotes the first standby; other standbys follow it. */
  async failover(): Promise<PostgresServer> {
    const old = this.#primary;
    old.kill();
    this.#lost.add(old);
    return this.#promoteNext();
  }

  /** Stops the primary cleanly, promotes the first standby, and makes a standby of the old primary. */
  async switchover(): Promise<PostgresServer> {
    const old = this.#primary;
    this.#nextPrimary();
    // Its last log has reached the standbys when it is gone, so it can follow them.
    await old.halt();
    this.#lost.add(old);
    const promoted = await this.#promoteNext();
    await old.follow(promoted);
    this.#lost.delete(old);
    await this.#waitForReplica();
    return promoted;
  }

  /** What failovers have killed comes back as standbys at the same addresses, with new copies of the data. */
  async rejoin(): Promise<void> {
    for (const old of this.#lost) {
      await old.stop();
      this.#servers[this.#servers.indexOf(old)] = await this.#primary.startStandby({ port: old.port });
      this.#lost.delete(old);
    }
    await this.#waitForReplica();
  }

  async stop(): Promise<void> {
    // Standbys first: a primary waits for them to have its last log.
    await Promise.all(this.#servers.filter((server) => server !== this.#primary).map((server) => server.stop('immediate')));
    await this.#primary.stop();
  }

  #nextPrimary(): PostgresServer {
    const next = this.replicas[0];
    if (next === undefined) throw new ClusterError('embeddedServer', 'there is no replica that could be promoted', { hint: 'Start the cluster with { replicas: 1 }, or call rejoin() after a failover.' });
    return next;
  }

  async #promoteNext(): Promise<PostgresServer> {
    const next = this.#nextPrimary();
    await next.promote();
    this.#primary = next;
    for (const standby of this.replicas) await standby.follow(next);
    await this.#waitForReplica();
    return next;
  }

  /** The primary's commits, and what it gives of its log to readers of slots that survive a failover, wait for standbys. */
  async #waitForReplica(): Promise<void> {
    const standbys = this.replicas.map(({ port }) => slotOf(port)).join(', ');
    const settings = [
      // By name: readers of moves and feeds would count as standbys, too.
      ...(this.synchronous ? [['synchronous_standby_names', standbys]] : []),
      ...(takesOverSlots(this.#primary.major) ? [['synchronized_standby_slots', standbys]] : []),
    ];
    if (settings.length === 0) return;
    await withServer(this.#primary, async (connection) => {
      for (const [name, value] of settings) await connection.query({ text: `ALTER SYSTEM SET ${name} = '${value}'` });
      await connection.query({ text: 'SELECT pg_catalog.pg_reload_conf()' });
    });
  }
}

/** Standbys for each of the groups, side by side. */
export async function addReplicas(groups: readonly ServerGroup[], replicas: number, signal: AbortSignal | undefined): Promise<void> {
  await Promise.all(groups.map(async (group) => {
    for (let i = 0; i < replicas; i += 1) await group.addReplica(undefined, signal);
  }));
}

/** The group of a node by its place, or that of the coordinator database. */
export function groupAt(groups: readonly ServerGroup[], which: number | 'coordinator'): ServerGroup {
  const group = which === 'coordinator' ? at(groups, 0) : groups[which + 1];
  if (group !== undefined) return group;
  throw new ClusterError('invalidParameter', `there is no node ${present(which)}`, { detail: `Nodes have numbers from 0 to ${groups.length - 2}.` });
}

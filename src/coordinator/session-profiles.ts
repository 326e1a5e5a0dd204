import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import type { NodeLogin } from '../cluster/node-settings.ts';
import { createNodePools, type NodeEndpoint, type NodePools, type OpenConnections } from '../cluster/node-pools.ts';
import { SequenceBlocks } from '../execute/write/sequence-blocks.ts';
import type { SessionServices } from '../session/session-services.ts';

/** What connections of a session begin with, besides what the cluster's own do. */
export interface SessionProfile {
  /** Whom the session acts as, on every server; undefined for the cluster's own user. */
  readonly role: string | undefined;
  /** How connections log in as the role. Without it the cluster's own user logs in and takes the role, which it could leave again. */
  readonly login?: NodeLogin | undefined;
  /** Settings that neither change what statements mean nor how values look to a merge: `application_name`, `TimeZone`, time-outs. */
  readonly settings: Readonly<Record<string, string>>;
}

/** The services of sessions of one profile; to be released once for each time it was taken. */
export interface ProfileHold {
  readonly services: SessionServices;
  release(): void;
}

interface Profile {
  readonly about: SessionProfile;
  /** The newest: a password may have changed since the first. */
  readonly login: { current: NodeLogin } | undefined;
  readonly services: SessionServices;
  readonly pools: NodePools;
  holds: number;
  idle: NodeJS.Timeout | undefined;
}

/** Functions that tell where rows are and change nothing. */
const harmless: ReadonlySet<string> = new Set(['get_shard_id_for_distribution_column']);

/** A profile that no session uses keeps its connections for so long. */
const idleMs = 30_000;

/**
 * Sessions that act as other roles, or begin with settings of their own, have connections of their own to every server, shared by all of one profile. Such a connection logs in as the role, or *begins* in it: nothing
 * has to be set before a statement or discarded after it.
 */
export class SessionProfiles {
  readonly #profiles = new Map<string, Profile>();

  /** `services`: the cluster's own. `endpoints`: where connections begin with the settings of sessions of the cluster's own user, or of those of any other. */
  constructor(
    private readonly services: SessionServices,
    private readonly endpoints: (whose: 'own' | 'others') => readonly NodeEndpoint[],
    private readonly open: OpenConnections,
  ) {}

  take(profile: SessionProfile): ProfileHold {
    if (profile.role === undefined && Object.keys(profile.settings).length === 0) return { services: this.services, release: () => undefined };
    const key = JSON.stringify([profile.role ?? null, profile.login !== undefined, Object.entries(profile.settings).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
    let taken = this.#profiles.get(key);
    if (taken === undefined) {
      taken = this.#made(profile);
      this.#profiles.set(key, taken);
    }
    const held = taken;
    if (held.login !== undefined && profile.login !== undefined) held.login.current = profile.login;
    clearTimeout(held.idle);
    held.holds += 1;
    return { services: held.services, release: () => this.#release(key, held) };
  }

  /** The cluster's nodes have changed. */
  nodesChanged(): void {
    for (const { pools, about, login } of this.#profiles.values()) pools.setNodes(this.#endpointsOf(about, login));
  }

  async end(): Promise<void> {
    const pools = [...this.#profiles.values()].map((profile) => {
      clearTimeout(profile.idle);
      return profile.pools.end();
    });
    this.#profiles.clear();
    await Promise.all(pools);
  }

  #made(about: SessionProfile): Profile {
    const { services } = this;
    const { role } = about;
    const login = about.login === undefined ? undefined : { current: about.login };
    const pools = createNodePools(this.#endpointsOf(about, login), this.open, services.pools.commits);
    const own: SessionServices = {
      store: services.store, planner: services.planner, hotTexts: services.hotTexts, load: services.load, describeMemory: services.describeMemory, statistics: services.statistics, objects: services.objects,
      options: services.options, finishing: services.finishing, deadlocks: services.deadlocks, statementTimeoutMs: services.statementTimeoutMs, ddlLockTimeoutMs: services.ddlLockTimeoutMs, distributesSchemas: services.distributesSchemas,
      pools, reads: services.reads, writes: services.writes,
      sequences: new SequenceBlocks(async (text) => (await pools.get(coordinatorNodeId).query({ text })).rows, this.services.sequences),
      nextNode: () => services.nextNode(),
      renewNodes: () => services.renewNodes(),
      clients: () => services.clients(),
      searchPath: role === undefined ? undefined : () => searchPathOf(pools.get(coordinatorNodeId)),
      actsForAll: async () => role === undefined || (await this.#membership(role)).isMember,
      utility: async (run) => {
        // What is a part of the role's own transaction has the role's rights.
        if (role !== undefined && run.within === undefined && !harmless.has(run.call.name)) await this.#checkMember(role, run.call.name);
        return services.utility(run);
      },
    };
    return { about, login, services: own, pools, holds: 0, idle: undefined };
  }

  #endpointsOf({ role, settings }: SessionProfile, login: Profile['login']): NodeEndpoint[] {
    const startup = { ...settings, ...(role === undefined || login !== undefined ? {} : { role }) };
    const logsIn = login === undefined ? {} : { login: () => login.current };
    const admitting = ({ admission }: NodeEndpoint['config']) => (admission === undefined ? {} : { admission: { ...admission, isNeeded: role !== undefined } });
    return this.endpoints(login === undefined ? 'own' : 'others').map((endpoint) => ({ ...endpoint, config: { ...endpoint.config, ...logsIn, ...admitting(endpoint.config), startup: { ...endpoint.config.startup, ...startup } } }));
  }

  /** The cluster's functions act with the rights of its own user. */
  async #checkMember(role: string, name: string): Promise<void> {
    const { isMember, owner } = await this.#membership(role);
    if (isMember) return;
    throw new ClusterError('invalidParameter', `permission denied for function ${name}`, { sqlState: '42501', detail: `It acts with the rights of role "${owner}".`, hint: `GRANT "${owner}" TO "${role}", or connect as that role.` });
  }

  /** Of the cluster's own user's role. */
  async #membership(role: string): Promise<{ readonly isMember: boolean; readonly owner: string }> {
    const { rows } = await this.services.pools.get(coordinatorNodeId).query({ text: `SELECT pg_catalog.pg_has_role($1, current_user, 'MEMBER'), current_user`, values: [role] });
    const [isMember, owner] = rows[0] ?? [];
    return { isMember: isMember === 't', owner: owner ?? '' };
  }

  #release(key: string, profile: Profile): void {
    profile.holds -= 1;
    if (profile.holds > 0) return;
    profile.idle = setTimeout(() => {
      if (profile.holds > 0 || this.#profiles.get(key) !== profile) return;
      this.#profiles.delete(key);
      void profile.pools.end();
    }, idleMs);
    profile.idle.unref();
  }
}

async function searchPathOf(coordinator: Pick<NodeConnections, 'query'>): Promise<readonly string[]> {
  const { rows } = await coordinator.query({ text: 'SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(false))' });
  return JSON.parse(rows[0]?.[0] ?? '[]') as string[];
}

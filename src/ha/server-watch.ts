import { canceled, onAbort, orAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeEndpoint, NodeServers } from '../cluster/node-pools.ts';
import { choosePrimary, withoutAliases } from './choose-primary.ts';
import type { ReplicaState } from './choose-replica.ts';
import { type HealthEvent, brokenBy, nextHealth, probeDelayMs, type ProbeTimes } from './health-machine.ts';
import type { LogPosition } from '../cluster/log-position.ts';
import type { ProbeAnswer } from '../cluster/probe.ts';
import { LogSamples } from './log-samples.ts';
import { WatchedServer } from './watched-server.ts';

const usualTimes: ProbeTimes = { intervalMs: 1_000, backOffMaxMs: 1_000 };
const intervalMsMin = 50;
/** How long the other servers of a node have to say that they are newer, when the first primary is looked for. */
const graceMs = 400;

export interface WatchOptions {
  /** Calls that wait for a primary, at most. */
  readonly waitersMax: number;
  /** Called when another primary is found than was known, with what is worth remembering of it, and how far the log of the one before was when it last answered. */
  readonly onPrimary?: ((found: { readonly systemIdentifier: string; readonly timeline: number }, before: LogPosition | undefined) => void) | undefined;
  /** Addresses that Patroni knows. */
  readonly discover?: (() => Promise<readonly ServerAddress[]>) | undefined;
}

interface Waiter {
  readonly grant: (server: WatchedServer) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Keeps looking which of a node's servers is the primary, as long as somebody has asked once, and lets those who need it wait. A server is the primary when it says so on the newest timeline known;
 * connections to one that is not any more are broken at once.
 */
export class ServerWatch {
  readonly #servers: WatchedServer[] = [];
  #primary: WatchedServer | undefined;
  #systemIdentifier: string | undefined;
  #timelineMax: number;
  /** Where a primary's log was at its last answer. */
  #last: LogPosition | undefined;
  /** Probes under way. */
  readonly #probing = new Map<WatchedServer, Promise<void>>();
  readonly #samples = new LogSamples();
  #times = usualTimes;
  readonly #timers = new Map<WatchedServer, NodeJS.Timeout>();
  #searchingSinceMs = 0;
  #grace: NodeJS.Timeout | undefined;
  readonly #waiters = new Set<Waiter>();
  #holds = 0;
  #started = false;
  #ended = false;
  #discovery: NodeJS.Timeout | undefined;
  /** The first question to Patroni. */
  #discovered: Promise<void> | undefined;
  #discoveryFailure: unknown;
  #hurrying: NodeJS.Timeout | undefined;

  constructor(
    private readonly endpoint: NodeEndpoint,
    known: NodeServers,
    private readonly options: WatchOptions,
  ) {
    this.#systemIdentifier = known.systemIdentifier;
    this.#timelineMax = known.timeline ?? 0;
    for (const address of known.hosts) this.#add(address);
  }

  get servers(): readonly WatchedServer[] {
    return this.#servers;
  }

  /** The primary, while it may be used. */
  get primary(): WatchedServer | undefined {
    return this.#holds === 0 && this.#primary?.health.state === 'primary' ? this.#primary : undefined;
  }

  /** What is known, whether or not it may be used at this moment. */
  get lastPrimary(): WatchedServer | undefined {
    return this.#primary;
  }

  /** Bytes of the primary's log that a replica has not applied. */
  lagBytes({ answer }: WatchedServer): number | undefined {
    const primary = this.#primary?.answer;
    return primary === undefined || answer === undefined ? undefined : Math.max(0, Number(primary.lsn - answer.lsn));
  }

  /** What a replica showed when it was last asked is at most so old by now. */
  lagMs({ answer }: WatchedServer): number | undefined {
    return answer === undefined ? undefined : this.#samples.ageMs(answer.lsn, performance.now());
  }

  /** Those that can be read. One that does not follow the newest primary yet may show what the promotion has lost. */
  replicas(): ReplicaState<WatchedServer>[] {
    return this.#servers.flatMap((server) => {
      const { answer, health, latencyMs = 0, reads, reading: { counts } } = server;
      if (answer === undefined || health.state !== 'replica' || answer.timeline < this.#timelineMax) return [];
      return [{ server, lagMs: this.lagMs(server), lagBytes: this.lagBytes(server), applied: answer, latencyMs, load: reads + counts.open - counts.idle }];
    });
  }

  /** Somebody wants to know of the lag more exactly. */
  askEvery(intervalMs: number): void {
    const wanted = Math.max(intervalMsMin, intervalMs);
    if (wanted >= this.#times.intervalMs) return;
    this.#times = { ...this.#times, intervalMs: wanted };
    for (const server of this.#servers) void this.#probe(server);
  }

  async askAgain(servers: readonly WatchedServer[]): Promise<void> {
    await Promise.all(servers.map((server) => this.#probe(server)));
  }

  /** Resolves when each server has been asked once. */
  known(signal: AbortSignal | undefined): Promise<void> {
    this.start();
    if (this.#servers.length === 0) return orAborted(Promise.resolve(this.#discovered).then(() => this.lookAgain()), signal);
    if (this.#servers.every(({ health: { state } }) => state !== 'unknown')) return Promise.resolve();
    return orAborted(this.lookAgain(), signal);
  }

  start(): void {
    if (this.#started || this.#ended) return;
    this.#started = true;
    this.#searchingSinceMs = performance.now();
    for (const server of this.#servers) void this.#probe(server);
    this.#discovered = this.#discover();
  }

  /** From now on nobody is given the primary; dispose to go on. */
  hold(): Disposable {
    this.#holds += 1;
    return {
      [Symbol.dispose]: () => {
        this.#holds -= 1;
        this.#serveWaiters();
        this.#hurry();
      },
    };
  }

  /** Waits for a primary. Fails with what `late` makes of the states of all servers; `poolTimeout` when too many wait; `canceled`. */
  waitForPrimary(timeoutMs: number, signal: AbortSignal | undefined): Promise<WatchedServer> {
    this.start();
    if (this.primary !== undefined) return Promise.resolve(this.primary);
    if (this.#ended) return Promise.reject(closed(this.endpoint.name));
    if (this.#waiters.size >= this.options.waitersMax) return Promise.reject(new ClusterError('poolTimeout', `more than ${this.options.waitersMax} calls wait for a primary of node ${this.endpoint.name}`));
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        clearTimeout(timer);
        listening[Symbol.dispose]();
      };
      const waiter: Waiter = { grant: (server) => (leave(), resolve(server)), fail: (error) => (leave(), reject(error)) };
      const timer = setTimeout(() => waiter.fail(this.#noPrimary()), timeoutMs);
      this.#waiters.add(waiter);
      const listening = onAbort(signal, () => signal && waiter.fail(canceled(signal)));
      this.#hurry();
    });
  }

  /** A connection broke, or a statement was refused as no primary would: the server is asked at once. */
  trouble(server: WatchedServer): void {
    this.#step(server, 'trouble');
    if (server.health.state === 'suspect') void this.#probe(server);
  }

  /** Asks all servers again; resolves when each has answered or had its time. */
  async lookAgain(): Promise<void> {
    this.start();
    await Promise.all(this.#servers.map((server) => this.#probe(server)));
  }

  /** As `lookAgain`, also at what Patroni knows by now. */
  async lookAround(): Promise<void> {
    this.start();
    await this.#discover();
    await this.lookAgain();
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#grace);
    clearTimeout(this.#discovery);
    clearTimeout(this.#hurrying);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const waiter of this.#waiters) waiter.fail(closed(this.endpoint.name));
    await Promise.all(this.#servers.map((server) => server.end()));
  }

  #add(address: ServerAddress): void {
    if (this.#servers.some(({ address: known }) => known.host === address.host && known.port === address.port)) return;
    const server = new WatchedServer(address, this.endpoint, (troubled) => this.trouble(troubled));
    this.#servers.push(server);
    if (this.#started) void this.#probe(server);
  }

  #probe(server: WatchedServer): Promise<void> {
    const probing = this.#probing.get(server) ?? this.#probeOnce(server);
    this.#probing.set(server, probing);
    return probing;
  }

  async #probeOnce(server: WatchedServer): Promise<void> {
    if (this.#ended) return;
    clearTimeout(this.#timers.get(server));
    await this.#systemKnown(server);
    // While there is no primary, a name may come to stand for the new one.
    if (this.#primary?.health.state !== 'primary') server.resolveAnew();
    const answer = await server.ask().catch(() => undefined);
    this.#probing.delete(server);
    if (this.#ended) return;
    this.#heard(server, answer);
    this.#timers.set(server, setTimeout(() => void this.#probe(server), probeDelayMs(server.health, this.#waiters.size > 0 ? { ...this.#times, backOffMaxMs: hurriedBackOffMs } : this.#times)).unref());
  }

  /** Which system this is, where nobody has noted it yet, the first of the addresses says, if it answers: another one may be a stranger's, and quicker. */
  async #systemKnown(server: WatchedServer): Promise<void> {
    const [first] = this.#servers;
    if (this.#systemIdentifier === undefined && first !== undefined && first !== server && first.health.state === 'unknown') await this.#probe(first);
  }

  #heard(server: WatchedServer, answer: ProbeAnswer | undefined): void {
    if (answer === undefined) this.#step(server, 'no_answer');
    else if ((this.#systemIdentifier ??= answer.systemIdentifier) !== answer.systemIdentifier) this.#step(server, 'is_foreign');
    else if (answer.inRecovery) this.#step(server, 'is_replica');
    else this.#judgeClaims(server);
    if (this.#primary === undefined) this.#judgeClaims(undefined);
  }

  /** Of those that take writes, `fresh` has said so just now. */
  #judgeClaims(fresh: WatchedServer | undefined): void {
    const claimants = this.#servers.filter((server) => server === fresh || ['candidate', 'primary', 'outdated'].includes(server.health.state));
    const named = claimants.map((server) => ({ server, instance: server.answer?.instance ?? '', timeline: server.answer?.timeline ?? 0 }));
    const claims = withoutAliases(named, this.#primary);
    const chosen = choosePrimary(claims, { current: this.#primary, timelineMax: this.#timelineMax, allHeard: this.#allHeard() });
    const newest = Math.max(this.#timelineMax, ...claims.map(({ timeline }) => timeline));
    for (const claim of named) if (!claims.includes(claim)) this.#step(claim.server, 'is_alias');
    for (const { server, timeline } of claims) {
      if (server === chosen) this.#step(server, 'is_primary');
      else this.#step(server, timeline < newest || chosen !== undefined ? 'is_outdated' : 'is_unconfirmed');
    }
    if (chosen === undefined && claims.length > 0) this.#grace ??= setTimeout(() => this.#graceOver(), graceMs).unref();
  }

  #graceOver(): void {
    this.#grace = undefined;
    if (this.#primary === undefined) this.#judgeClaims(undefined);
  }

  #allHeard(): boolean {
    if (performance.now() - this.#searchingSinceMs > graceMs) return true;
    return this.#servers.every(({ health: { state, failures } }) => state !== 'unknown' || failures > 0);
  }

  #step(server: WatchedServer, event: HealthEvent): void {
    const before = server.health;
    server.health = nextHealth(before, event, performance.now());
    const { state } = server.health;
    const broken = brokenBy(before.state, state);
    if (broken !== 'none') server.break(broken);
    if (state === 'primary') this.#becomePrimary(server);
    else if (server === this.#primary && state !== 'suspect') {
      this.#primary = undefined;
      this.#searchingSinceMs = performance.now();
    }
  }

  #becomePrimary(server: WatchedServer): void {
    const timeline = server.answer?.timeline ?? 0;
    const isNews = this.#primary !== server || timeline > this.#timelineMax;
    const before = this.#last;
    this.#last = { timeline, lsn: server.answer?.lsn ?? 0n };
    this.#primary = server;
    this.#timelineMax = Math.max(this.#timelineMax, timeline);
    this.#samples.add(server.askedMs, server.answer?.lsn ?? 0n);
    if (isNews) this.options.onPrimary?.({ systemIdentifier: this.#systemIdentifier ?? '', timeline }, before !== undefined && before.timeline < timeline ? before : undefined);
    this.#serveWaiters();
  }

  #serveWaiters(): void {
    const { primary } = this;
    if (primary === undefined) return;
    for (const waiter of this.#waiters) waiter.grant(primary);
  }

  /** While somebody waits for a primary, those that may become one are asked often. */
  #hurry(): void {
    clearTimeout(this.#hurrying);
    if (this.#waiters.size === 0 || this.#holds > 0) return;
    for (const server of this.#servers) if (server.health.state !== 'down') void this.#probe(server);
    this.#hurrying = setTimeout(() => this.#hurry(), hurryMs);
  }

  /** What Patroni knows is added; without an answer what is known stays. */
  async #discover(): Promise<void> {
    const { discover } = this.options;
    if (discover === undefined || this.#ended) return;
    clearTimeout(this.#discovery);
    try {
      const addresses = await discover();
      this.#discoveryFailure = undefined;
      for (const address of addresses) if (!this.#ended) this.#add(address);
    } catch (error) {
      this.#discoveryFailure = error;
    }
    clearTimeout(this.#discovery);
    if (!this.#ended) this.#discovery = setTimeout(() => void this.#discover(), this.#servers.length === 0 ? undiscoveredMs : discoverMs).unref();
  }

  #noPrimary(): ClusterError {
    const { name, id } = this.endpoint;
    const states = this.#servers.map((server) => `${server.name} ${server.health.state === 'primary' ? 'is held' : server.health.why}`);
    const failure = this.#servers.find((server) => server.failure !== undefined)?.failure ?? this.#discoveryFailure;
    if (this.#discoveryFailure instanceof ClusterError) states.push([this.#discoveryFailure.message, this.#discoveryFailure.detail ?? ''].join(': ').replace(/\.$/, ''));
    else if (states.length === 0) states.push('Patroni has not told of any server yet');
    return new ClusterError(id === coordinatorNodeId ? 'coordinatorUnreachable' : 'nodeUnreachable', `no server of ${id === coordinatorNodeId ? 'the coordinator database' : 'node'} ${name} takes writes`, {
      detail: `${states.join('; ')}.`, hint: 'cluster.health() shows them. A statement waits failoverTimeoutMs for a new primary.', cause: failure,
    });
  }
}

const hurryMs = 100;
/** Between tries of a server that is down, while somebody waits for a primary. */
const hurriedBackOffMs = 250;
const discoverMs = 10_000;
/** While no server is known. */
const undiscoveredMs = 500;

function closed(name: string): ClusterError {
  return new ClusterError('clusterClosed', `the connections to node ${name} were closed`);
}

import { randomBytes } from 'node:crypto';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import type { ScramKeys } from '../cluster/scram-client.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { Activity } from './activity.ts';
import { BriefStatements } from './brief-statements.ts';
import { CancelKeys } from './cancel-keys.ts';
import { endPointBinding } from './channel-binding.ts';
import { Fatal } from './fatal.ts';
import { readRole, type RoleFacts } from './role-facts.ts';
import { parseVerifier, verifierOf } from '../cluster/scram-verifier.ts';
import type { ChannelBinding } from './scram.ts';
import { defaultLimits, type ServerLimits } from './server-limits.ts';
import type { StartupParameters } from './startup.ts';
import { TlsAcceptor } from './tls-acceptor.ts';
import { ValueConverter } from './convert-values.ts';
import type { WireOptions } from './wire-options.ts';
import type { ProfileHold } from '../coordinator/session-profiles.ts';

/** Settings that connections to servers can begin with: they change neither what a statement means nor how its values look. */
const profileSettings: ReadonlySet<string> = new Set(['application_name', 'timezone', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'work_mem']);

/** A client that is who it says. */
export interface Authenticated {
  readonly role: RoleFacts;
  /** What it has proved to know. */
  readonly keys: ScramKeys | undefined;
}

/** What the clients of one server share. */
export class ServerState {
  readonly limits: ServerLimits;
  readonly keys = new CancelKeys();
  readonly activity = new Activity();
  readonly brief = new BriefStatements();
  readonly converter: ValueConverter;
  readonly secret = randomBytes(32);
  readonly tls: TlsAcceptor | undefined;
  readonly channelBinding: ChannelBinding | undefined;
  readonly #perRole = new Map<string, number>();
  readonly #initial = new Map<string, Promise<ReadonlyMap<string, string>>>();
  /** Connections, those that are not authenticated yet among them. */
  connections = 0;

  constructor(
    private readonly coordinator: Coordinator,
    readonly options: WireOptions,
    readonly databaseName: string,
  ) {
    const given = Object.fromEntries(Object.entries(options).filter(([name, value]) => name in defaultLimits && value !== undefined));
    this.limits = { ...defaultLimits, ...given };
    this.converter = new ValueConverter({ query: (query) => this.database.query(query) });
    const { tls } = options;
    this.tls = tls === undefined ? undefined : new TlsAcceptor({ ...options, tls });
    this.channelBinding = tls === undefined ? undefined : endPointBinding(tls.cert);
  }

  get database(): NodeConnections {
    return this.coordinator.pools.get(coordinatorNodeId);
  }

  /** Whether connections to servers log in as clients' roles. */
  get logsIn(): boolean {
    return (this.options.actAs ?? (this.options.authentication === 'trust' ? 'set_role' : 'login')) === 'login';
  }

  admits(): boolean {
    return this.connections <= this.limits.connectionsMax;
  }

  async roleFacts(user: string, needsPassword: boolean): Promise<RoleFacts | undefined> {
    const { passwords } = this.options;
    const role = await readRole(this.database, user, needsPassword && passwords === undefined);
    if (role === undefined || passwords === undefined || !(needsPassword || this.logsIn)) return role;
    const password = await passwords(user);
    const stored = password === undefined ? undefined : parseVerifier(password);
    if (password === undefined || stored !== undefined) return { ...role, verifier: stored };
    return { ...role, password, verifier: verifierOf(password, { salt: randomBytes(16), iterations: 4096 }) };
  }

  /** Counts a client of a role; call what is returned when it is gone. Throws `Fatal` 53300. */
  count(role: string, connectionsMax: number): () => void {
    const now = this.#perRole.get(role) ?? 0;
    const max = Math.min(connectionsMax < 0 ? Infinity : connectionsMax, this.limits.connectionsPerRoleMax);
    if (now >= max) throw new Fatal('53300', `too many connections for role "${role}"`);
    this.#perRole.set(role, now + 1);
    return () => {
      const left = (this.#perRole.get(role) ?? 1) - 1;
      if (left === 0) this.#perRole.delete(role);
      else this.#perRole.set(role, left);
    };
  }

  /** The connections that a client's session uses, and what is to be set in it besides. */
  profile({ user, settings }: StartupParameters, { role, keys }: Authenticated): ProfileHold & { readonly settings: ReadonlyMap<string, string> } {
    const wanted = new Map([...role.settings.map(([name, value]) => [name.toLowerCase(), value] as const), ...[...settings].filter(([name, value]) => !isGiven(name, value))]);
    const shared = Object.fromEntries([...wanted].filter(([name]) => profileSettings.has(name)));
    const rest = new Map([...wanted].filter(([name]) => !profileSettings.has(name)));
    const login = this.logsIn && !role.isOwn ? { user, password: role.password, keys: role.password === undefined ? keys : undefined } : undefined;
    return { ...this.coordinator.profiles.take({ role: role.isOwn ? undefined : user, settings: shared, login }), settings: rest };
  }

  /** Clients that begin alike are told the same, which is asked once in a while. */
  initialStatus(parameters: StartupParameters, settings: ReadonlyMap<string, string>, read: () => Promise<ReadonlyMap<string, string>>): Promise<ReadonlyMap<string, string>> {
    const key = JSON.stringify([parameters.user, [...parameters.settings], [...settings]]);
    const known = this.#initial.get(key);
    if (known !== undefined) return known;
    const asked = read().catch((error: unknown) => {
      this.#initial.delete(key);
      throw error;
    });
    if (this.#initial.size >= initialMax) this.#initial.clear();
    this.#initial.set(key, asked);
    setTimeout(() => this.#initial.delete(key), initialMs).unref();
    return asked;
  }
}

const initialMax = 1_000;
const initialMs = 10_000;

/** What every connection has anyway, or what has no meaning here. */
function isGiven(name: string, value: string): boolean {
  if (name === 'client_encoding') {
    if (/^(utf-?8|unicode|sql_ascii)$/i.test(value.replaceAll(/['"]/g, ''))) return true;
    throw new Fatal('22023', `client encoding "${value}" is not supported`, { hint: 'Set it to UTF8.' });
  }
  if (name === 'datestyle') return /^(iso|iso, *mdy)$/i.test(value);
  if (name === 'extra_float_digits') return /^[123]$/.test(value);
  return false;
}

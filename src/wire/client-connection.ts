import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { quoteIdentifier, quoteLiteral } from '../sql/identifiers.ts';
import { present } from '../base/assert.ts';
import { authenticate } from './authenticate.ts';
import { ClientIo } from './client-io.ts';
import { ClientSession } from './client-session.ts';
import { Fatal } from './fatal.ts';
import { ParameterStatus } from './parameter-status.ts';
import { errorFields } from './report-fields.ts';
import { RoleGuard } from './role-guard.ts';
import type { RoleFacts } from './role-facts.ts';
import type { ChannelBinding } from './scram.ts';
import type { Authenticated, ServerState } from './server-state.ts';
import { firstOfTls, speaksPostgres } from './tls-acceptor.ts';
import { newestMinor, readStartup, type StartupParameters } from './startup.ts';

/** One client from its first byte to its last. Never throws: what goes wrong is the client's, or its own connection's end. */
export class ClientConnection {
  readonly #io: ClientIo;
  readonly #server: ServerState;
  #timer: NodeJS.Timeout;
  #session: ClientSession | undefined;
  #isEnding = false;

  constructor(socket: Socket, server: ServerState) {
    this.#server = server;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    this.#io = new ClientIo(socket, server.limits.messageBytesMax);
    this.#timer = setTimeout(() => socket.destroy(), server.limits.authenticationTimeoutMs);
  }

  /** Resolves when the client is gone and nothing of it is left. */
  async run(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      if (!this.#io.isClosed) this.#io.out.report('error', errorFields(error, 'FATAL'));
    } finally {
      clearTimeout(this.#timer);
      this.#io.end();
    }
  }

  /** The server is shutting down: a session that is idle ends at once, another when its statement is done. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#io.out.report('error', errorFields(new Fatal('57P01', 'terminating connection due to administrator command'), 'FATAL'));
    this.#session?.cancel();
    this.#io.end();
  }

  async #run(): Promise<void> {
    const parameters = await this.#startup();
    if (parameters === undefined) return;
    if (!this.#server.admits()) throw new Fatal('53300', 'sorry, too many clients already');
    const authenticated = await this.#authenticated(parameters);
    const { role } = authenticated;
    const counted = this.#server.count(parameters.user, role.connectionsMax);
    try {
      const hold = this.#server.profile(parameters, authenticated);
      clearTimeout(this.#timer);
      await this.#serve(parameters, role, hold).finally(() => hold.release());
    } finally {
      counted();
    }
  }

  async #serve(parameters: StartupParameters, role: RoleFacts, { services, settings }: ReturnType<ServerState['profile']>): Promise<void> {
    const io = this.#io;
    const status = new ParameterStatus();
    const { processId, key } = this.#server.keys.add(parameters.minor >= 2 ? 32 : 4, () => this.#session?.cancel());
    const activity = this.#server.activity.add({
      processId, role: parameters.user, address: io.socket.remoteAddress ?? '', port: io.socket.remotePort, applicationName: () => status.applicationName, status: () => this.#session?.session.status ?? 'idle',
    });
    try {
      io.out.authentication(0);
      const guard = new RoleGuard(role.isOwn || this.#server.logsIn ? undefined : parameters.user, this.#server.database);
      this.#session = new ClientSession({
        io, services, status, processId, guard, converter: this.#server.converter, brief: this.#server.brief, limits: this.#server.limits,
        onStatement: (text) => activity.runs(text),
      });
      await this.#begin(this.#session, status, { parameters, role, settings, guard });
      io.out.keyData(processId, key);
      await this.#session.serve();
    } finally {
      activity.end();
      this.#server.keys.remove(processId);
      await this.#session?.session.end().catch(() => undefined);
    }
  }

  /** Settings that connections cannot begin with are set, and all are told. */
  async #begin({ session }: ClientSession, status: ParameterStatus, { parameters, role, settings, guard }: Beginning): Promise<void> {
    const { out } = this.#io;
    for (const [name, value] of settings) {
      const text = `SET SESSION ${quoteIdentifier(name)} TO ${quoteLiteral(value)}`;
      const [statement] = session.parse({ text: name === 'search_path' ? `SELECT pg_catalog.set_config('search_path', ${quoteLiteral(value)}, false)` : text });
      try {
        if (statement === undefined) continue;
        // Neither the client nor ALTER ROLE may choose another role in this way.
        await guard.check(statement);
        await session.run(statement, { text: statement.text });
      } catch (error) {
        throw new Fatal(error instanceof Error && 'code' in error ? String(error.code) : '22023', error instanceof Error ? error.message : String(error));
      }
    }
    session.beginsWithItsSettings();
    status.tell(out, 'is_superuser', role.isSuperuser ? 'on' : 'off');
    status.tell(out, 'session_authorization', parameters.user);
    const told = await this.#server.initialStatus(parameters, settings, () => status.refresh(session, out));
    for (const [name, value] of told) status.tell(out, name, value);
    if (parameters.settings.has('application_name')) status.tell(out, 'application_name', parameters.settings.get('application_name') ?? '');
  }

  async #startup(): Promise<StartupParameters | undefined> {
    const io = this.#io;
    while (io.in.first === undefined && !io.isClosed) await io.moreInput();
    if (io.in.first === firstOfTls) await this.#encryptAtOnce();
    for (;;) {
      const body = io.in.takeStartup();
      if (body === undefined) {
        if (io.isClosed) return undefined;
        await io.moreInput();
        continue;
      }
      const request = readStartup(body);
      if (request.kind === 'cancel') {
        if (!this.#server.keys.cancel(request.processId, request.key)) this.#server.keys.onUnknown(request.processId, request.key);
        return undefined;
      }
      if (request.kind === 'startup') {
        this.#check(request);
        return request;
      }
      await this.#encrypt(request.kind);
    }
  }

  #check({ minor, unknownOptions, database }: StartupParameters): void {
    const { options: { tls, requireTls }, databaseName: own } = this.#server;
    if (tls !== undefined && requireTls === true && !(this.#io.socket instanceof TLSSocket)) throw new Fatal('28000', 'this server accepts connections with TLS only', { hint: 'Connect with sslmode=require.' });
    if (database !== own) throw new Fatal('3D000', `database "${database}" does not exist`, { hint: `This server has database "${own}" alone.` });
    if (minor > newestMinor || unknownOptions.length > 0) this.#io.out.negotiateProtocol(Math.min(minor, newestMinor), unknownOptions);
  }

  async #encrypt(kind: 'tls' | 'gss'): Promise<void> {
    const io = this.#io;
    const isTls = kind === 'tls' && this.#server.tls !== undefined && !(io.socket instanceof TLSSocket);
    // What came behind the request came unencrypted: somebody may have put it there.
    if (isTls && io.in.pending > 0) throw new Fatal('08P01', 'received unencrypted data after SSL request');
    io.out.answer(isTls ? 'S' : 'N');
    io.flush();
    if (!isTls) return;
    io.attach(await present(this.#server.tls).accept(io.detach()));
  }

  /** A client that has begun with TLS, without asking first. */
  async #encryptAtOnce(): Promise<void> {
    const io = this.#io;
    const { tls } = this.#server;
    if (tls === undefined) throw new Fatal('08P01', 'received direct SSL connection request, but this server has no TLS');
    const begun = io.in.takeAll();
    const raw = io.detach();
    raw.pause();
    raw.unshift(begun);
    const socket = await tls.accept(raw);
    io.attach(socket);
    if (!speaksPostgres(socket)) throw new Fatal('08P01', 'received direct SSL connection request without ALPN protocol negotiation extension');
  }

  async #authenticated(parameters: StartupParameters): Promise<Authenticated> {
    const { user } = parameters;
    const { authentication = 'scram' } = this.#server.options;
    const role = await this.#server.roleFacts(user, authentication === 'scram');
    const keys = authentication === 'scram' ? await authenticate(this.#io, { user, role, binding: this.#binding(), secret: this.#server.secret }) : undefined;
    if (authentication === 'certificate') this.#checkCertificate(user);
    if (role === undefined) throw new Fatal('28000', `role "${user}" does not exist`);
    if (!role.canLogin) throw new Fatal('28000', `role "${user}" is not permitted to log in`);
    if (role.isExpired && authentication === 'scram') throw new Fatal('28P01', `password authentication failed for user "${user}"`);
    if (!role.mayConnect) throw new Fatal('42501', `permission denied for database "${this.#server.databaseName}"`, { detail: 'User does not have CONNECT privilege.' });
    if (!role.isOwn && !role.isWithinReach) throw new Fatal('42501', `the cluster's own role may not act as "${user}"`, { hint: `GRANT ${quoteIdentifier(user)} to it, on every server.` });
    return { role, keys };
  }

  #checkCertificate(user: string): void {
    const { socket } = this.#io;
    const peer = socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate() : undefined;
    if (peer === undefined) throw new Fatal('28000', 'connection requires a valid client certificate');
    const name = /^CN=(.*)$/m.exec(peer.subject)?.[1];
    if (name !== user) throw new Fatal('28000', `certificate authentication failed for user "${user}"`);
  }

  #binding(): ChannelBinding | undefined {
    const { tls } = this.#server.options;
    if (!(this.#io.socket instanceof TLSSocket) || tls === undefined) return undefined;
    return this.#server.channelBinding;
  }
}

/** What a session begins with. */
interface Beginning {
  readonly parameters: StartupParameters;
  readonly role: RoleFacts;
  readonly settings: ReadonlyMap<string, string>;
  readonly guard: RoleGuard;
}

import { Fatal } from './fatal.ts';
import { frontend } from './frontend-reader.ts';
import type { ClientIo } from './client-io.ts';
import type { ScramKeys } from '../cluster/scram-client.ts';
import { MessageBody, utf8 } from './message-body.ts';
import { boundMechanism, type ChannelBinding, mockVerifier, plainMechanism, ScramServer } from './scram.ts';
import type { RoleFacts } from './role-facts.ts';

const sasl = { start: 10, go: 11, end: 12 } as const;

export interface AuthenticateInput {
  readonly user: string;
  readonly role: RoleFacts | undefined;
  readonly binding: ChannelBinding | undefined;
  readonly secret: Buffer;
}

/** SCRAM-SHA-256 with a client; resolves to what it has proved to know. Throws `Fatal` 28P01 for a wrong password as for a role that is none. */
export async function authenticate(io: ClientIo, { user, role, binding, secret }: AuthenticateInput): Promise<ScramKeys | undefined> {
  const verifier = role?.verifier ?? mockVerifier(user, secret);
  const mechanisms = binding === undefined ? [plainMechanism] : [boundMechanism, plainMechanism];
  io.out.authentication(sasl.start, Buffer.from(`${mechanisms.join('\0')}\0\0`));
  const initial = new MessageBody(await passwordMessage(io));
  const mechanism = initial.text();
  if (!mechanisms.includes(mechanism)) throw new Fatal('08P01', 'client selected an invalid SASL authentication mechanism');
  const exchange = new ScramServer(verifier, mechanism, binding);
  io.out.authentication(sasl.go, Buffer.from(exchange.first(utf8(initial.slice(Math.max(initial.int32(), 0))))));
  const end = exchange.final(utf8(await passwordMessage(io)));
  if (end === undefined || role?.verifier === undefined) throw new Fatal('28P01', `password authentication failed for user "${user}"`);
  io.out.authentication(sasl.end, Buffer.from(end));
  return exchange.keys;
}

/** A client that has not said who it is may not send much. */
const passwordBytesMax = 65_535;

async function passwordMessage(io: ClientIo): Promise<Buffer> {
  io.flush();
  for (;;) {
    const frame = io.in.take();
    if (frame !== undefined) {
      if (frame.type !== frontend.password) throw new Fatal('08P01', `expected SASL response, got message type ${frame.type}`);
      return frame.body;
    }
    if (io.isClosed || io.in.pending > passwordBytesMax) throw new Fatal('08P01', 'expected SASL response');
    await io.moreInput();
  }
}

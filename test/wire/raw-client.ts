import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { FrameReader } from './frame-reader.ts';

/** A message of a server: its letter, and what it says. */
export type Said = readonly [type: string, ...unknown[]];

/** Speaks the protocol byte by byte, to any server. */
export class RawClient {
  readonly #reader = new FrameReader();
  readonly #waiting: (() => void)[] = [];
  #isClosed = false;
  readonly said: Said[] = [];
  key: { readonly processId: number; readonly key: Buffer } | undefined;

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      for (const [type, body] of this.#reader.push(chunk)) this.#take(type, body);
      this.#wake();
    });
    socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
    socket.on('error', () => undefined);
  }

  static async open({ host, port }: { readonly host: string; readonly port: number }): Promise<RawClient> {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** Connects without a password. */
  static async start(where: { readonly host: string; readonly port: number; readonly database: string; readonly user?: string }, settings: Readonly<Record<string, string>> = {}): Promise<RawClient> {
    const client = await RawClient.open(where);
    client.send(startup({ user: where.user ?? 'postgres', database: where.database, ...settings }));
    await client.until('Z');
    return client;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  /** What was said up to the `count`-th message of a type, or the end of the connection. */
  async until(type: string, count = 1): Promise<Said[]> {
    while (this.said.filter(([one]) => one === type).length < count && !this.#isClosed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.said.splice(0);
  }

  async closed(): Promise<Said[]> {
    while (!this.#isClosed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.said.splice(0);
  }

  async end(): Promise<void> {
    this.socket.end(message('X'));
    await this.closed();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #take(type: string, body: Buffer): void {
    if (type === 'K') this.key = { processId: body.readInt32BE(0), key: body.subarray(4) };
    const said = decode(type, body);
    if (said !== undefined) this.said.push(said);
  }
}

/** Asks the server, over a connection of its own, to cancel what the session with this number and secret runs. Resolves when it has been passed on. */
export async function requestCancel(where: { readonly host: string; readonly port: number }, { processId, key }: { readonly processId: number; readonly key: Buffer }): Promise<void> {
  const client = await RawClient.open(where);
  client.send(Buffer.concat([int32(12 + key.length), int32(80_877_102), int32(processId), key]));
  await client.closed();
}

/** Left out: what differs from server to server. Fields of errors that are about servers or source files too. */
function decode(type: string, body: Buffer): Said | undefined {
  switch (type) {
    case 'S':
    case 'K':
      return undefined;
    case 'E':
    case 'N':
      return [type, fieldsOf(body)];
    case 'T':
      return [type, ...columnsOf(body)];
    case 'D':
      return [type, ...valuesOf(body)];
    case 't':
      return [type, ...Array.from({ length: body.readUInt16BE(0) }, (_, i) => body.readUInt32BE(2 + 4 * i))];
    case 'A': {
      const [channel = '', payload = ''] = body.subarray(4).toString().split('\0');
      return [type, channel, payload];
    }
    default:
      return body.length === 0 ? [type] : [type, body.toString('latin1')];
  }
}

function fieldsOf(body: Buffer): Readonly<Record<string, string>> {
  const parts = body.toString().split('\0').filter((part) => part !== '');
  return Object.fromEntries(parts.map((part) => [part.charAt(0), part.slice(1)] as const).filter(([letter]) => !'FLRW'.includes(letter)));
}

function columnsOf(body: Buffer): unknown[] {
  const columns: unknown[] = [];
  let at = 2;
  for (let i = 0; i < body.readUInt16BE(0); i += 1) {
    const end = body.indexOf(0, at);
    const name = body.toString('utf8', at, end);
    // The table's OID differs; whether there is one does not.
    columns.push([name, body.readUInt32BE(end + 1) > 0, body.readInt16BE(end + 5), body.readUInt32BE(end + 7), body.readInt16BE(end + 11), body.readInt32BE(end + 13), body.readInt16BE(end + 17)]);
    at = end + 19;
  }
  return columns;
}

function valuesOf(body: Buffer): (string | null)[] {
  let at = 2;
  return Array.from({ length: body.readUInt16BE(0) }, () => {
    const length = body.readInt32BE(at);
    at += 4;
    if (length < 0) return null;
    at += length;
    return body.toString('latin1', at - length, at);
  });
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

const zero = Buffer.from([0]);
const text = (value: string): Buffer => Buffer.concat([Buffer.from(value), zero]);

/** A message with its type and length. */
export function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

export function startup(parameters: Readonly<Record<string, string>>, version = 196_608): Buffer {
  const body = Buffer.concat([int32(version), ...Object.entries(parameters).flatMap(([name, value]) => [text(name), text(value)]), zero]);
  return Buffer.concat([int32(body.length + 4), body]);
}

export const query = (sql: string): Buffer => message('Q', text(sql));
export const parse = (sql: string, name = '', types: readonly number[] = []): Buffer => message('P', text(name), text(sql), int16(types.length), ...types.map(int32));
export const describe = (what: 'S' | 'P', name = ''): Buffer => message('D', Buffer.from(what), text(name));
export const execute = (rowsMax = 0, portal = ''): Buffer => message('E', text(portal), int32(rowsMax));
export const close = (what: 'S' | 'P', name = ''): Buffer => message('C', Buffer.from(what), text(name));
export const sync = message('S');
export const flush = message('H');
export const copyData = (data: string | Buffer): Buffer => message('d', typeof data === 'string' ? Buffer.from(data) : data);
export const copyDone = message('c');
/** With binary arguments and result. */
export const functionCall = (oid: number, values: readonly Buffer[]): Buffer =>
  message('F', int32(oid), int16(1), int16(1), int16(values.length), ...values.flatMap((value) => [int32(value.length), value]), int16(1));
export const copyFail = (reason: string): Buffer => message('f', text(reason));

export interface BindWith {
  readonly portal?: string;
  readonly statement?: string;
  readonly formats?: readonly number[];
  readonly results?: readonly number[];
}

export function bind(values: readonly (string | Buffer | null)[] = [], { portal = '', statement = '', formats = [], results = [] }: BindWith = {}): Buffer {
  const bytes = values.map((value) => (value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value as string)])));
  return message('B', text(portal), text(statement), int16(formats.length), ...formats.map(int16), int16(values.length), ...bytes, int16(results.length), ...results.map(int16));
}

import { frontend, type FrontendFrame } from './frontend-reader.ts';
import { MessageBody } from './message-body.ts';
import { protocolViolation } from './protocol-error.ts';

export type Format = 'text' | 'binary';

export interface ParseMessage {
  readonly kind: 'parse';
  readonly name: string;
  readonly text: string;
  /** OIDs; 0 leaves a type to the server. */
  readonly types: readonly number[];
}

export interface BindMessage {
  readonly kind: 'bind';
  readonly portal: string;
  readonly statement: string;
  /** One for all, or one for each, or none for text. */
  readonly formats: readonly Format[];
  readonly values: readonly (Buffer | null)[];
  readonly resultFormats: readonly Format[];
}

/** What a client asks for, once it is connected. */
export type FrontendMessage =
  | { readonly kind: 'query'; readonly text: string }
  | ParseMessage
  | BindMessage
  | { readonly kind: 'describe' | 'close'; readonly what: 'statement' | 'portal'; readonly name: string }
  | { readonly kind: 'execute'; readonly portal: string; /** 0 for all. */ readonly rowsMax: number }
  | { readonly kind: 'sync' | 'flush' | 'terminate' | 'copy_done' | 'password' }
  | FunctionCallMessage
  | { readonly kind: 'copy_data'; readonly bytes: Buffer }
  | { readonly kind: 'copy_fail'; readonly reason: string };

/** A call of a function by its OID, without SQL around it: clients read and write large objects so. */
export interface FunctionCallMessage {
  readonly kind: 'function_call';
  readonly oid: number;
  readonly formats: readonly Format[];
  readonly values: readonly (Buffer | null)[];
  readonly resultFormat: Format;
}

/** Throws 08P01 for a body that is not what its type says, 22021 for text that is no UTF-8. */
export function readMessage({ type, body }: FrontendFrame): FrontendMessage {
  const read = new MessageBody(body);
  const message = messageOf(type, read);
  if (message.kind !== 'copy_data' && message.kind !== 'password') read.end();
  return message;
}

function messageOf(type: number, read: MessageBody): FrontendMessage {
  switch (type) {
    case frontend.query:
      return { kind: 'query', text: read.text() };
    case frontend.parse:
      return { kind: 'parse', name: read.text(), text: read.text(), types: Array.from({ length: read.uint16() }, () => read.uint32()) };
    case frontend.bind:
      return bindOf(read);
    case frontend.describe:
      return { kind: 'describe', ...subjectOf('DESCRIBE', read) };
    case frontend.close:
      return { kind: 'close', ...subjectOf('CLOSE', read) };
    case frontend.execute:
      return { kind: 'execute', portal: read.text(), rowsMax: Math.max(read.int32(), 0) };
    case frontend.sync:
      return { kind: 'sync' };
    case frontend.flush:
      return { kind: 'flush' };
    case frontend.terminate:
      return { kind: 'terminate' };
    case frontend.copyData:
      return { kind: 'copy_data', bytes: read.rest() };
    case frontend.copyDone:
      return { kind: 'copy_done' };
    case frontend.copyFail:
      return { kind: 'copy_fail', reason: read.text() };
    case frontend.functionCall:
      return functionCallOf(read);
    case frontend.password:
      return { kind: 'password' };
    default:
      throw protocolViolation(`invalid frontend message type ${type}`);
  }
}

function bindOf(read: MessageBody): BindMessage {
  const portal = read.text();
  const statement = read.text();
  const formats = formatsOf(read);
  const count = read.uint16();
  if (formats.length > 1 && formats.length !== count) throw protocolViolation(`bind message has ${formats.length} parameter formats but ${count} parameters`);
  const values = Array.from({ length: count }, () => valueOf(read));
  return { kind: 'bind', portal, statement, formats, values, resultFormats: formatsOf(read) };
}

function functionCallOf(read: MessageBody): FunctionCallMessage {
  const oid = read.uint32();
  const formats = formatsOf(read);
  const count = read.uint16();
  if (formats.length > 1 && formats.length !== count) throw protocolViolation(`function call message contains ${formats.length} argument formats but ${count} arguments`);
  const values = Array.from({ length: count }, () => valueOf(read));
  return { kind: 'function_call', oid, formats, values, resultFormat: formatOf(read.int16()) };
}

function valueOf(read: MessageBody): Buffer | null {
  const length = read.int32();
  return length === -1 ? null : read.slice(length);
}

function formatsOf(read: MessageBody): Format[] {
  return Array.from({ length: read.uint16() }, () => formatOf(read.int16()));
}

function formatOf(code: number): Format {
  if (code !== 0 && code !== 1) throw protocolViolation(`unsupported format code: ${code}`, { sqlState: '22023' });
  return code === 1 ? 'binary' : 'text';
}

function subjectOf(message: string, read: MessageBody): { readonly what: 'statement' | 'portal'; readonly name: string } {
  const code = read.byte();
  if (code !== 0x53 && code !== 0x50) throw protocolViolation(`invalid ${message} message subtype ${code}`);
  return { what: code === 0x53 ? 'statement' : 'portal', name: read.text() };
}

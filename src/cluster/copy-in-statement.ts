import type { CallOptions, CopySink } from './node-connection.ts';
import { Statement } from './statement.ts';
import { throwIfAborted } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';

const yieldBytes = 256 * 1024;
/** CopyDone. */
const copyDone = Buffer.from('c\0\0\0\x04', 'latin1');

/** COPY FROM STDIN: rows in, under the server's backpressure. */
export class CopyInStatement extends Statement implements CopySink {
  /** Resolves when the server takes data; rejects when it refuses the COPY. */
  readonly started: Promise<void>;
  /** Resolves when the COPY is over, one way or the other. */
  readonly over: Promise<void>;
  #rows: number | undefined = undefined;
  #copying = false;
  #finished = false;
  /** Why the caller gave up. */
  #reason: unknown = undefined;
  #sinceYield = 0;
  #start: () => void = () => undefined;
  #refuse: (error: unknown) => void = () => undefined;
  #end: () => void = () => undefined;
  /** Of a write that waits for the socket. */
  #goOn: (() => void) | undefined = undefined;

  constructor(
    sql: string,
    options: CallOptions | undefined,
    private readonly socket: () => Duplex,
  ) {
    super({ text: sql, simple: true }, options, true);
    this.started = new Promise((resolve, reject) => {
      this.#start = resolve;
      this.#refuse = reject;
    });
    this.over = new Promise((resolve) => (this.#end = resolve));
  }

  override onCopyIn(): void {
    this.#copying = true;
    this.#start();
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#check();
    if (chunk.length === 0) return;
    const socket = this.socket();
    const header = Buffer.allocUnsafe(5);
    header[0] = 0x64;
    header.writeInt32BE(chunk.length + 4, 1);
    socket.cork();
    socket.write(header);
    const more = socket.write(chunk);
    socket.uncork();
    this.#sinceYield += chunk.length;
    if (!more) await this.#drained(socket);
    if (this.#sinceYield > yieldBytes) {
      // A socket that takes everything at once never lets the server's answer in.
      this.#sinceYield = 0;
      await setImmediate();
    }
    this.#check();
  }

  async end(): Promise<number> {
    this.#check();
    this.#finished = true;
    this.socket().write(copyDone);
    await this.over;
    if (this.error !== undefined) throw this.error;
    return present(this.#rows, 'row count of COPY');
  }

  async fail(reason: string): Promise<void> {
    this.giveUp(reason, undefined);
    await this.over;
  }

  /** Makes a server that waits for data stop the COPY; without effect when it is over. Later calls throw `error`. */
  giveUp(reason: string, error: unknown): void {
    if (!this.#copying || this.#finished || this.ended) return;
    this.#finished = true;
    this.#reason = error;
    const text = Buffer.from(`${reason}\0`);
    const header = Buffer.allocUnsafe(5);
    header[0] = 0x66;
    header.writeInt32BE(text.length + 4, 1);
    this.socket().write(Buffer.concat([header, text]));
  }

  override onFields(): void {}
  override onRow(): void {}

  override onComplete(message: { readonly text: string }): void {
    this.#rows = Number(message.text.split(' ')[1] ?? 0);
  }

  override settle(): void {
    if (!this.#copying) this.error ??= new ClusterError('invalidParameter', 'statement is not COPY FROM STDIN');
    this.#refuse(this.error);
    this.#goOn?.();
    this.#end();
  }

  #check(): void {
    if (this.error !== undefined) throw this.error;
    if (this.#reason !== undefined) throw this.#reason;
    // The server may not have answered yet that it gave up.
    if (this.#finished) throwIfAborted(this.options?.signal);
    if (this.#finished || this.ended) throw new ClusterError('invalidParameter', 'COPY is over already');
  }

  /** Resolves when the socket takes more, or the statement has ended. Nothing of it stays with what lasts as long as the statement: it is waited for many thousand times. */
  #drained(socket: Duplex): Promise<void> {
    return new Promise((resolve) => {
      const goOn = (): void => {
        socket.off('drain', goOn);
        this.#goOn = undefined;
        resolve();
      };
      socket.once('drain', goOn);
      this.#goOn = goOn;
    });
  }
}

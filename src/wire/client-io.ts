import type { Socket } from 'node:net';
import { BackendWriter } from './backend-writer.ts';
import { FrontendReader } from './frontend-reader.ts';

/** What is not sent yet when a statement shall wait for the client to read. */
const flushBytes = 64 * 1024;
/** From here on a write of its own is cheaper than a copy. */
const passedMin = 16 * 1024;
/** What has come and was not taken when the client shall wait. */
const pauseBytes = 1024 * 1024;

/** The socket of a client, with what came over it and what is to be sent. Memory is bounded both ways. */
export class ClientIo {
  readonly out = new BackendWriter();
  readonly in: FrontendReader;
  #socket: Socket;
  #isPaused = false;
  /** Somebody cannot go on without more input: a message is not whole yet. */
  #isAwaited = false;
  #onInput: () => void = () => undefined;
  #waiting: (() => void) | undefined;
  #isClosed = false;

  constructor(socket: Socket, messageBytesMax: number) {
    this.#socket = socket;
    this.in = new FrontendReader(messageBytesMax);
    this.attach(socket);
  }

  /** From now on another socket is spoken over: the same one inside TLS. */
  attach(socket: Socket): void {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.in.push(chunk);
      if (this.in.pending > pauseBytes && !this.#isPaused && !this.#isAwaited) {
        this.#isPaused = true;
        socket.pause();
      }
      this.#isAwaited = false;
      this.#onInput();
    });
    socket.on('close', () => {
      if (socket === this.#socket) this.#closed();
    });
    socket.on('drain', () => this.#wake());
    socket.on('error', () => socket.destroy());
  }

  /** Stops listening to the socket, whose bytes another will read. */
  detach(): Socket {
    this.#socket.removeAllListeners('data');
    this.#socket.removeAllListeners('close');
    this.#socket.removeAllListeners('drain');
    return this.#socket;
  }

  get socket(): Socket {
    return this.#socket;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Calls the listener whenever something has come, and when the client is gone. */
  onInput(listener: () => void): void {
    this.#onInput = listener;
  }

  /** Nobody goes on before something more has come, which `onInput` tells of. */
  wantInput(): void {
    this.#isAwaited = true;
    if (this.#isPaused) this.#socket.resume();
    this.#isPaused = false;
  }

  /** Resolves when something more has come, or the client is gone. */
  moreInput(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.wantInput();
    const before = this.#onInput;
    return new Promise((resolve) => {
      this.#onInput = () => {
        this.#onInput = before;
        resolve();
      };
    });
  }

  /** Sends what was written. */
  flush(): void {
    if (this.out.pending > 0 && !this.#isClosed) this.#socket.write(this.out.take());
  }

  /** Messages that are whole, whose memory nobody writes to. Many bytes are not copied once more. */
  pass(messages: Buffer): void {
    if (messages.length < passedMin) {
      this.out.raw(messages);
      return;
    }
    this.flush();
    if (!this.#isClosed) this.#socket.write(messages);
  }

  /** To be waited for where much is written: undefined unless so much is under way that the client has to read first. */
  room(): Promise<void> | undefined {
    if (this.#isClosed) return undefined;
    if (this.out.pending >= flushBytes) this.flush();
    if (!this.#socket.writableNeedDrain) return undefined;
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Sends what was written, and hangs up. */
  end(): void {
    if (this.#isClosed) return;
    this.flush();
    this.#socket.end();
    // A client that does not hang up itself.
    this.#socket.setTimeout(1_000, () => this.#socket.destroy());
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#wake();
    this.#onInput();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }
}

import { EventEmitter, once } from 'node:events';
import { Socket } from 'node:net';
import { Cluster } from '../../../src/index.ts';

/** A cluster that ends as its process would, killed with -9: all connections at once, in the midst of whatever they were at, and none is opened any more. */
export interface MortalCluster {
  readonly cluster: Cluster;
  readonly died: Promise<void>;
  /** It dies so many messages to servers after this text has been sent to one, before the last of these is written. */
  dieBehind(text: string, messages: number): void;
  /** The same from now on. */
  dieAfter(messages: number): void;
  /** Lets go of what is left of it. */
  bury(): Promise<void>;
}

export function mortalCluster(connectionString: string): MortalCluster {
  const events = new EventEmitter();
  const died = once(events, 'death').then(() => undefined);
  const sockets = new Set<Socket>();
  let marker: string | undefined;
  let left = Infinity;
  let countBehind = 0;
  let isDead = false;
  const die = (): void => {
    isDead = true;
    events.emit('death');
    for (const socket of sockets) socket.destroy();
  };
  const isSent = (data: Uint8Array): boolean => {
    if (!isDead && left <= 0) die();
    if (isDead) return false;
    left -= 1;
    if (marker !== undefined && Buffer.from(data).includes(marker)) {
      left = countBehind;
      marker = undefined;
    }
    return true;
  };
  /** `write` is set anew by `connect`. */
  class MortalSocket extends Socket {
    override _write(data: Uint8Array, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
      if (isSent(data)) super._write(data, encoding, done);
    }

    override _writev(chunks: { chunk: Uint8Array; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
      if (isSent(Buffer.concat(chunks.map(({ chunk }) => chunk)))) super._writev?.(chunks, done);
    }
  }
  const cluster = new Cluster({
    connectionString,
    stream: () => {
      const socket = new MortalSocket();
      sockets.add(socket);
      return isDead ? Object.assign(socket, { connect: () => socket.destroy(new Error('the process is dead')) }) : socket;
    },
  });
  return {
    cluster, died,
    dieBehind: (text, messages) => {
      marker = text;
      countBehind = messages;
    },
    dieAfter: (messages) => {
      left = messages;
    },
    bury: async () => {
      if (!isDead) die();
      await cluster.end().catch(() => undefined);
    },
  };
}

import { EventEmitter } from 'node:events';
import { MessageFramer, type MessageSink } from './message-framer.ts';

/** What pg's Connection is used for here, beyond its documented interface. */
export interface TappedConnection {
  /** Called once, with the socket that the server's messages will come from. */
  attachListeners(socket: NodeJS.EventEmitter): void;
}

export interface RowSink extends Pick<MessageSink, 'onDataRow' | 'onCopyData' | 'onPlain'> {
  /** All that one read of the socket brought was handed on. */
  onChunkEnd(): void;
}

/** Takes rows, COPY data and what the sink wants besides out of what a connection reads, before it connects; pg parses all other messages, in their order. */
export function tapRows(connection: TappedConnection, sink: RowSink): void {
  const attach = connection.attachListeners.bind(connection);
  connection.attachListeners = (socket) => {
    const rest = new EventEmitter();
    attach(rest);
    const framer = new MessageFramer({
      onDataRow: (bytes, start, end) => sink.onDataRow(bytes, start, end),
      onCopyData: (bytes, start, end) => sink.onCopyData(bytes, start, end),
      onPlain: (type, bytes, start, end) => sink.onPlain?.(type, bytes, start, end) === true,
      onOther: (bytes) => void rest.emit('data', bytes),
    });
    socket.on('data', (chunk: Buffer) => {
      framer.push(chunk);
      sink.onChunkEnd();
    });
  };
}

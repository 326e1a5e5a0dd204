import { Client, type ClientConfig, type Connection, DatabaseError } from 'pg';
import { onAbort, throwIfAborted } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CallOptions } from './node-connection.ts';
import { driverConfig, type NodeSettings } from './node-settings.ts';
import { connectionLost, translateConnectError, translateStatementError } from './translate-error.ts';
import { lsnText, readLsn } from './lsn.ts';
import type { CreatedSlot, ReplicationConnection, SlotOptions, StreamEvents, StreamStart } from './replication-connection.ts';

/**
 * Settings of the session, by which values become text: such that another server reads the same values from it, whatever its own settings are.
 */
const textSettings = {
  DateStyle: 'ISO, YMD', IntervalStyle: 'postgres', TimeZone: 'UTC', bytea_output: 'hex', extra_float_digits: '1', lc_monetary: 'C', search_path: 'pg_catalog', xmloption: 'content',
};

export async function openReplication(settings: NodeSettings, options?: CallOptions): Promise<ReplicationConnection> {
  // A socket that is destroyed before it connects does so nevertheless.
  throwIfAborted(options?.signal);
  const client = new ReplicationClient({ ...driverConfig(settings, settings.login?.()), replication: 'database' } as ClientConfig);
  const connection = new OpenReplication(client, settings.name);
  using _aborting = onAbort(options?.signal, () => connection.destroy());
  try {
    await client.connect();
  } catch (error) {
    throw translateConnectError(error, settings);
  }
  return connection;
}

class ReplicationClient extends Client {
  getStartupConf(): Record<string, string> {
    const inherited = (Client.prototype as unknown as { getStartupConf(this: ReplicationClient): Record<string, string> }).getStartupConf.call(this);
    return { ...inherited, ...textSettings };
  }
}

/** What pg's connection has beyond its types. */
type Wire = Connection & { sendCopyFromChunk(chunk: Buffer): void };

/** How often the server hears that we are there; it gives up after `wal_sender_timeout`, a minute by default. */
const keepAliveMs = 10_000;

class OpenReplication implements ReplicationConnection {
  #confirmed = 0n;
  #keepAlive: NodeJS.Timeout | undefined;
  #events: StreamEvents | undefined;
  #lost: { readonly error: unknown } | undefined;
  readonly #closed: Promise<void>;

  constructor(
    private readonly client: Client,
    private readonly name: string,
  ) {
    // Someone has to listen, or Node throws; `end` brings the same news.
    client.on('error', (error) => (this.#lost ??= { error }));
    this.#closed = new Promise((resolve) => client.once('end', () => {
      this.#stop(connectionLost(this.#lost?.error ?? new Error('the server closed the connection'), this.name));
      resolve();
    }));
  }

  async createSlot(name: string, options?: SlotOptions): Promise<CreatedSlot> {
    using _aborting = onAbort(options?.signal, () => this.destroy());
    const failover = options?.failover === true && (await this.#version()) >= 17_00_00 ? ', FAILOVER true' : '';
    const { rows } = await this.#ask(`CREATE_REPLICATION_SLOT "${name}" LOGICAL pgoutput (SNAPSHOT 'export'${failover})`);
    const [row] = rows as { consistent_point: string; snapshot_name: string }[];
    if (row === undefined) throw connectionLost(new Error('the server made no slot'), this.name);
    return { snapshot: row.snapshot_name, consistentPoint: readLsn(row.consistent_point) };
  }

  async timeline(): Promise<number> {
    const { rows } = await this.#ask('IDENTIFY_SYSTEM');
    const [row] = rows as { timeline: number | string }[];
    return Number(present(row, 'answer to IDENTIFY_SYSTEM').timeline);
  }

  async timelineHistory(timeline: number): Promise<string> {
    if (timeline === 1) return '';
    const { rows } = await this.#ask(`TIMELINE_HISTORY ${timeline}`);
    const [row] = rows as { content: Buffer | string }[];
    return String(present(row, 'answer to TIMELINE_HISTORY').content);
  }

  stream({ slot, publication, from }: StreamStart, events: StreamEvents): Promise<void> {
    const text = `START_REPLICATION SLOT "${slot}" LOGICAL ${lsnText(from)} (proto_version '1', publication_names '"${publication}"', messages 'true')`;
    this.#confirmed = from;
    return new Promise((resolve, reject) => {
      this.#wire.once('replicationStart', () => {
        this.#events = events;
        this.#keepAlive = setInterval(() => this.#sendStatus(), keepAliveMs).unref();
        resolve();
      });
      const failed = (error: unknown): void => {
        const translated = this.#translated(error, text);
        this.#stop(translated);
        reject(translated);
      };
      this.client.query(new CopyBoth(text, (bytes) => this.#receive(bytes), failed) as never);
      void this.#closed.then(() => failed(connectionLost(new Error('the server closed the connection'), this.name)));
    });
  }

  confirm(lsn: bigint): void {
    if (lsn <= this.#confirmed) return;
    this.#confirmed = lsn;
    this.#sendStatus();
  }

  pause(): void {
    this.#wire.stream.pause();
  }

  resume(): void {
    this.#wire.stream.resume();
  }

  async end(): Promise<void> {
    this.#events = undefined;
    this.destroy();
    await this.#closed;
  }

  destroy(): void {
    clearInterval(this.#keepAlive);
    this.#wire.stream.destroy();
  }

  get #wire(): Wire {
    return (this.client as unknown as { readonly connection: Wire }).connection;
  }

  async #version(): Promise<number> {
    const { rows } = await this.#ask('SHOW server_version_num');
    const [row] = rows as { server_version_num: string }[];
    return Number(row?.server_version_num);
  }

  async #ask(text: string): Promise<{ readonly rows: unknown[] }> {
    try {
      return await this.client.query(text);
    } catch (error) {
      throw this.#translated(error, text);
    }
  }

  /** What is not the server's own error is the connection's end. */
  #translated(error: unknown, text: string): unknown {
    if (error instanceof ClusterError) return error;
    return error instanceof DatabaseError && this.#lost === undefined ? translateStatementError(error, { name: this.name }, text) : connectionLost(this.#lost?.error ?? error, this.name);
  }

  /** XLogData or a keepalive, each with its first byte. */
  #receive(bytes: Buffer): void {
    const kind = bytes[0];
    if (kind === 0x77) this.#events?.onMessage(bytes.subarray(25));
    else if (kind === 0x6b) {
      this.#events?.onKeepAlive(bytes.readBigUInt64BE(1));
      if (bytes[17] === 1) this.#sendStatus();
    }
  }

  /** Standby status update: written, flushed and applied are one to us. */
  #sendStatus(): void {
    if (!this.#wire.stream.writable) return;
    const status = Buffer.alloc(34);
    status[0] = 0x72;
    for (const offset of [1, 9, 17]) status.writeBigUInt64BE(this.#confirmed, offset);
    status.writeBigInt64BE(BigInt(Date.now() - epochMs) * 1000n, 25);
    this.#wire.sendCopyFromChunk(status);
  }

  #stop(error: unknown): void {
    clearInterval(this.#keepAlive);
    const events = this.#events;
    this.#events = undefined;
    events?.onLost(error);
  }
}

/** 2000-01-01, where PostgreSQL's time begins. */
const epochMs = Date.UTC(2000, 0, 1);

/** What pg's client calls of a query, for one whose answer is a stream of COPY data in both directions. */
class CopyBoth {
  constructor(
    private readonly text: string,
    private readonly onData: (bytes: Buffer) => void,
    private readonly onError: (error: unknown) => void,
  ) {}

  submit(connection: Connection): void {
    connection.query(this.text);
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    this.onData(chunk);
  }

  handleError(error: unknown): void {
    this.onError(error);
  }

  handleReadyForQuery(): void {
    this.onError(new ClusterError('connectionLost', 'the server ended the stream of changes'));
  }

  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
}

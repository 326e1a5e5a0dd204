import { Client } from 'pg';
import { pollUntil } from './poll-until.ts';

/** What the processes of the cluster are told of a node's servers. */
export class Callbacks implements AsyncDisposable {
  #heard = 0;
  private constructor(private readonly client: Client) {}

  /** Listens on the present primary of the coordinator database. */
  static async listen(connectionString: string): Promise<Callbacks> {
    const client = new Client({ connectionString });
    client.on('error', () => undefined);
    const callbacks = new Callbacks(client);
    client.on('notification', ({ payload = '' }) => {
      if (payload.includes('"kind":"changed","node":1')) callbacks.#heard += 1;
    });
    await client.connect();
    const { rows } = await client.query<{ channel: string }>(`SELECT 'shardwright_catalog_' || replace(id::text, '-', '') AS channel FROM shardwright.cluster`);
    await client.query(`LISTEN ${rows[0]?.channel ?? ''}`);
    return callbacks;
  }

  /** Resolves when Patroni's callback has come through since this was asked last. */
  async heard(): Promise<void> {
    await pollUntil('a callback of node 1 is heard', () => this.#heard > 0);
    this.#heard = 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.client.end();
  }
}

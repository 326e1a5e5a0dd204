import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '../../src/embedded/free-port.ts';
import type { Keeper } from './keeper.ts';
import { pollUntil } from './poll-until.ts';

/** One etcd, which can be gone for a while. */
export class Etcd {
  #process: ChildProcess | undefined;

  private constructor(
    private readonly keeper: Keeper,
    /** Of clients. */
    readonly port: number,
    private readonly peerPort: number,
  ) {}

  static async start(keeper: Keeper): Promise<Etcd> {
    await keeper.directory('etcd');
    const etcd = new Etcd(keeper, await freePort(), await freePort());
    await etcd.start();
    return etcd;
  }

  async start(): Promise<void> {
    const [client, peer] = [`http://127.0.0.1:${this.port}`, `http://127.0.0.1:${this.peerPort}`];
    const args = { name: 'etcd', 'data-dir': 'data', 'listen-client-urls': client, 'advertise-client-urls': client, 'listen-peer-urls': peer, 'initial-advertise-peer-urls': peer, 'initial-cluster': `etcd=${peer}` };
    this.#process = this.keeper.run({ name: 'etcd', program: '/usr/bin/etcd', args: Object.entries(args).map(([name, value]) => `--${name}=${value}`) });
    await pollUntil('etcd is up', () => fetch(`${client}/health`, { signal: AbortSignal.timeout(1_000) }).then((response) => response.ok, () => false));
  }

  async kill(): Promise<void> {
    const ended = this.#process === undefined ? Promise.resolve() : once(this.#process, 'exit');
    this.#process?.kill('SIGKILL');
    await ended;
  }
}

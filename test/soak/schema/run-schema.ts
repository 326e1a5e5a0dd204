import { Client } from 'pg';
import { setTimeout as wait } from 'node:timers/promises';
import { at } from '../../../src/base/assert.ts';
import { startPostgres, volatileSettings } from '../../../src/embedded.ts';
import { Cluster } from '../../../src/index.ts';
import { Random } from '../../oracle/random.ts';
import { settle } from '../settle.ts';
import type { SoakOptions } from '../soak-options.ts';
import type { SoakServers } from '../soak-servers.ts';
import { Application } from './application.ts';
import { compareSchemas } from './compare-schemas.ts';
import { judgeFailures } from './judge-failures.ts';
import { Migrator, type MigrationOutcome, type MigrationTask } from './migrator.ts';
import { type Change, type Known, randomChange, type TableKind } from './random-change.ts';
import { readSchema } from './read-schema.ts';
import { distributeText, firstRows, searchPath, tablesText } from './schema-tables.ts';
import type { SchemaEvent } from './schema-event.ts';

export interface SchemaReport {
  readonly changes: number;
  readonly events: readonly SchemaEvent[];
  /** Changes that one PostgreSQL makes and the cluster does not, with why; and how often. */
  readonly refused: ReadonlyMap<string, number>;
  /** Changes that did not get their locks. */
  readonly givenUp: number;
  readonly processKills: number;
  readonly serverKills: number;
  readonly objections: readonly string[];
}

type SchemaOptions = Pick<SoakOptions, 'seed' | 'seconds' | 'processes' | 'serverKills' | 'processKills'>;

/** Definitions change at random, on the cluster and on one PostgreSQL, while processes of the application write and read the same tables. What they see must be right throughout, and at the end both sides be defined alike. */
export async function runSchema({ servers, connectionString }: SoakServers, options: SchemaOptions): Promise<SchemaReport> {
  const { seed, seconds, processes } = options;
  await using plainServer = await startPostgres({ major: at(servers, 0).major, settings: { ...volatileSettings, shared_buffers: '32MB' } });
  for (const server of [...servers, plainServer]) await once(server.connectionString, `ALTER DATABASE postgres SET search_path = ${searchPath}`);
  const plain = await new Client(plainServer.connectionString).connect();
  const cluster = new Cluster({ connectionString, recoveryIntervalMs: 500 });
  const migrator = new Migrator(connectionString);
  const soak = new SchemaSoak({ cluster, plain, migrator, random: new Random(seed) });
  try {
    await soak.prepare();
    const application = new Application(connectionString, { seed: seed + 1, processes });
    const end = performance.now() + seconds * 1_000;
    const harm = options.processKills === true || options.serverKills ? harmOf(options, { servers, migrator }, end) : undefined;
    const stopped: string[] = await soak.changeUntil(end).then(() => [], (error: unknown) => [String(error)]);
    const { processKills = 0, serverKills = 0 } = (await harm) ?? {};
    await application.end().catch((error: unknown) => stopped.push(String(error)));
    await settle(cluster);
    const nodes = servers.slice(1).map(({ connectionString: node }) => node);
    const differences = await compareSchemas({ cluster, coordinator: at(servers, 0).connectionString, nodes, plain });
    const { objections: unlike, ...rest } = soak.report();
    return { ...rest, events: application.events, processKills, serverKills, objections: [...stopped, ...unlike, ...judgeFailures(application.events, serverKills > 0), ...differences] };
  } finally {
    migrator.stop();
    await Promise.all([cluster.end(), plain.end()]);
  }
}

/** Kills the process that changes definitions, and postmasters. */
async function harmOf({ seed, processKills, serverKills }: SchemaOptions, { servers, migrator }: Pick<SoakServers, 'servers'> & { readonly migrator: Migrator }, end: number) {
  const random = new Random(seed + 7);
  const harm = { processKills: 0, serverKills: 0 };
  while (performance.now() < end) {
    await wait(random.int(200, 4_000));
    if (processKills === true && (!serverKills || random.chance(0.7))) {
      if (migrator.kill()) harm.processKills += 1;
    } else if (serverKills) {
      const server = random.pick(servers);
      server.kill();
      harm.serverKills += 1;
      await wait(random.int(0, 500));
      await server.restart();
    }
  }
  return harm;
}

interface SchemaSides {
  readonly cluster: Cluster;
  readonly plain: Client;
  readonly migrator: Migrator;
  readonly random: Random;
}

const passing = /^(40001|40P01|55P03|55006|08|57P|53300)/;
const refusedByCluster = /^ ?(unsupported|moveRefused|moveUndone|objectInUse|lookup|concurrent)/;

class SchemaSoak {
  #number = 0;
  #givenUp = 0;
  readonly #refused = new Map<string, number>();
  readonly #objections: string[] = [];

  constructor(private readonly sides: SchemaSides) {}

  report(): Pick<SchemaReport, 'changes' | 'refused' | 'givenUp' | 'objections'> {
    return { changes: this.#number, refused: this.#refused, givenUp: this.#givenUp, objections: this.#objections };
  }

  async prepare(): Promise<void> {
    const { cluster, plain } = this.sides;
    await cluster.createDistributedSchema('tenant_s');
    await plain.query('CREATE SCHEMA tenant_s');
    await cluster.query('CREATE TABLE applied (number int)');
    for (const side of [cluster, plain]) await side.query(tablesText);
    for (const text of distributeText) await cluster.query(text);
    for (const side of [cluster, plain]) for (const text of firstRows.split(';')) await side.query(text);
  }

  async changeUntil(end: number): Promise<void> {
    while (performance.now() < end) {
      this.#number += 1;
      await this.#change({ number: this.#number, change: randomChange(this.sides.random, await this.#known()) });
    }
  }

  async #known(): Promise<Known> {
    const { cluster, plain } = this.sides;
    const kinds = new Map<string, TableKind>((await again(() => cluster.tables())).map(({ name, kind }) => [name, kind]));
    return { state: await readSchema(plain), kinds, hasLookup: (await again(() => cluster.lookups())).length > 0, number: this.#number };
  }

  async #change(task: MigrationTask): Promise<void> {
    const { change } = task;
    const outcome = await this.#untilWhole(task);
    const said = `${change.texts.join('; ')}: ${outcome.code ?? 'done'} ${outcome.message}`;
    if (outcome.code === 'none' || /^(XX|25|26|34)/.test(outcome.code ?? '') || /_1\d{5}\b/.test(outcome.message)) this.#objections.push(said);
    if (outcome.code !== undefined && passing.test(outcome.code)) {
      this.#givenUp += 1;
      return;
    }
    if (change.ofCluster) {
      if (outcome.code !== undefined) this.#refuse(said);
      return;
    }
    const got = await onPlain(this.sides.plain, change, outcome.code !== undefined);
    if (got === outcome.code) return;
    if (got === undefined && refusedByCluster.test(outcome.message)) this.#refuse(said);
    else this.#objections.push(`${said}, but one PostgreSQL says ${got ?? 'done'}`);
  }

  #refuse(said: string): void {
    const kind = said.replaceAll(/\d+/g, 'N');
    this.#refused.set(kind, (this.#refused.get(kind) ?? 0) + 1);
  }

  /** What is not in a transaction is left half made when a server dies under it: said again it goes on where it stopped. */
  async #untilWhole(task: MigrationTask): Promise<MigrationOutcome> {
    const { inBlock, ofCluster } = task.change;
    let outcome = await this.#onCluster(task);
    if (inBlock || ofCluster) return outcome;
    for (let i = 0; i < 20 && passing.test(outcome.code ?? ''); i += 1) {
      await wait(100);
      outcome = await this.#onCluster(task);
    }
    return outcome;
  }

  /** A change whose process was killed is made again if it was not made. */
  async #onCluster(task: MigrationTask): Promise<MigrationOutcome> {
    for (;;) {
      const outcome = await this.sides.migrator.run(task);
      if (outcome !== undefined && outcome.code !== '08007') return outcome;
      await again(() => settle(this.sides.cluster));
      const { rowCount } = await again(() => this.sides.cluster.query('SELECT 1 FROM applied WHERE number = $1', [task.number]));
      if (rowCount === 1) return { number: task.number, code: undefined, message: 'as was found' };
      if (task.change.ofCluster) return { number: task.number, code: '57P01', message: 'killed' };
    }
  }
}

async function again<T>(ask: () => Promise<T>): Promise<T> {
  for (let i = 0; ; i += 1) {
    try {
      return await ask();
    } catch (error) {
      if (i > 100) throw error;
      await wait(100);
    }
  }
}

/** Its SQLSTATE, undefined where all was done; which is undone again if it is only asked for. */
async function onPlain(plain: Client, { texts, inBlock }: Change, onlyAsk: boolean): Promise<string | undefined> {
  try {
    if (inBlock) await plain.query('BEGIN');
    for (const text of texts) await plain.query(text);
    if (inBlock) await plain.query(onlyAsk ? 'ROLLBACK' : 'COMMIT');
    return undefined;
  } catch (error) {
    if (inBlock) await plain.query('ROLLBACK');
    return (error as { code?: string }).code;
  }
}

async function once(connectionString: string, text: string): Promise<void> {
  const client = await new Client(connectionString).connect();
  await client.query(text);
  await client.end();
}

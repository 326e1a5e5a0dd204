import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { text as textOf } from 'node:stream/consumers';
import { sqlStateOf } from '../../../src/base/errors.ts';
import type { Cluster, ClusterClient } from '../../../src/index.ts';
import type { Random } from '../../oracle/random.ts';
import type { SchemaEvent } from './schema-event.ts';
import { type AppTable, appTables, markOf, renamed } from './schema-tables.ts';
import { wrongRow } from './wrong-row.ts';

type Row = Record<string, unknown>;

interface Stored {
  readonly tenant: number;
  readonly id: number;
  v: number;
}

const deedMsMax = 90_000;

/** A part of the application with rows of its own, so that it knows all of them: it writes and reads them in every way, one deed after the other, and tells what it meets. */
export class SchemaLane {
  /** By table: what must be there. */
  readonly #stored = new Map<AppTable, Map<string, Stored>>(appTables.map((table) => [table, new Map()]));
  /** Tables of which something may or may not have happened: they are read again before the next deed. */
  readonly #unsure = new Set<AppTable>();
  #session: ClusterClient | undefined;
  #id = 0;

  constructor(
    private readonly cluster: Cluster,
    private readonly random: Random,
    private readonly lane: number,
    private readonly tell: (event: SchemaEvent) => void,
  ) {}

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) await this.#step();
    this.#session?.release();
  }

  /** When nothing changes any more. */
  async lastLook(): Promise<void> {
    for (const table of appTables) {
      if (this.#unsure.has(table)) continue;
      this.#compare(table, await this.#rowsAtTheEnd(table), 'at the end');
    }
  }

  /** A table may have been given another name, and no change has followed that would give it back. */
  async #rowsAtTheEnd(table: AppTable): Promise<Row[]> {
    const read = async (name: string): Promise<Row[]> => (await this.cluster.query<Row>(`SELECT tenant, id, v, mark FROM ${name} WHERE lane = $1`, [this.lane])).rows;
    return read(table).catch((error: unknown) => (sqlStateOf(error) === '42P01' ? read(renamed(table)) : Promise.reject(error)));
  }

  async #step(): Promise<void> {
    const deeds = { insert: 5, insertUnnamed: 1, update: 4, updateAll: 1, remove: 1, upsert: 2, block: 4, rolledBack: 1, star: 4, starOfAll: 2, own: 4, sums: 2, joined: 2, staged: 2, cursor: 2, repeatable: 2, copyIn: 1, copyOut: 1, view: 1, session: 5 } as const;
    const deed = this.random.weighted((Object.keys(deeds) as (keyof typeof deeds)[]).map((name) => [deeds[name], name] as const));
    const table = this.random.pick(appTables);
    if (this.#unsure.has(table) && !(await this.#settle(table))) return;
    const hung = new AbortController();
    const late = wait(deedMsMax, undefined, { signal: hung.signal }).then(() => { throw Object.assign(new Error('hangs'), { hangs: true }); });
    late.catch(() => undefined);
    try {
      await Promise.race([this.#deeds[deed](table), late]);
      this.tell({ kind: 'done', deed });
    } catch (error) {
      this.#failed(deed, table, error as Error);
      await wait(5);
    } finally {
      hung.abort();
    }
  }

  #failed(deed: string, table: AppTable, error: Error): void {
    const { id = '', where = '' } = error as { id?: string; where?: string };
    const code = sqlStateOf(error) ?? 'none';
    if (code === 'none') this.tell({ kind: 'objection', about: `${deed} of ${table}: ${error.stack ?? String(error)}` });
    else this.tell({ kind: 'failed', deed, table, code, id, message: error.message, where });
    if (code === '08007' || code === 'none') for (const one of appTables) this.#unsure.add(one);
  }

  /** Reads what is there, of which it was not told. */
  async #settle(table: AppTable): Promise<boolean> {
    try {
      const { rows } = await this.cluster.query(`SELECT tenant, id, v FROM ${table} WHERE lane = $1`, [this.lane]);
      this.#stored.set(table, new Map(rows.map(({ tenant, id, v }) => [`${tenant}/${id}`, { tenant: Number(tenant), id: Number(id), v: Number(v) }])));
      this.#unsure.delete(table);
      return true;
    } catch {
      await wait(50);
      return false;
    }
  }

  readonly #deeds: Readonly<Record<'insert' | 'insertUnnamed' | 'update' | 'updateAll' | 'remove' | 'upsert' | 'block' | 'rolledBack' | 'star' | 'starOfAll' | 'own' | 'sums' | 'joined' | 'staged' | 'cursor' | 'repeatable' | 'copyIn' | 'copyOut' | 'view' | 'session', (table: AppTable) => Promise<void>>> = {
    insert: async (table) => {
      const row = this.#newRow();
      const { rows } = await this.cluster.query(...this.#insertOf(table, row));
      this.#look(table, rows, 'of RETURNING', 1);
      this.#keep(table, row);
    },
    insertUnnamed: async (table) => {
      const row = this.#newRow();
      await this.cluster.query(`INSERT INTO ${table} VALUES ($1, $2, $3, $4, $5)`, [row.tenant, row.id, this.lane, row.v, markOf(this.lane, row.tenant, row.id)]);
      this.#keep(table, row);
    },
    update: async (table) => {
      const row = this.#one(table);
      if (row === undefined) return;
      const { rows } = await this.cluster.query({ name: `update ${table}`, text: `UPDATE ${table} SET v = v + 1 WHERE tenant = $1 AND id = $2 RETURNING *`, values: [row.tenant, row.id] });
      row.v += 1;
      this.#look(table, rows, 'of UPDATE', 1);
    },
    updateAll: async (table) => {
      const { rowCount } = await this.cluster.query(`UPDATE ${table} SET v = v + 1 WHERE lane = $1`, [this.lane]);
      const stored = this.#of(table);
      for (const row of stored.values()) row.v += 1;
      if (rowCount !== stored.size) this.#object(`${rowCount} rows of ${table} were updated, not ${stored.size}`);
    },
    remove: async (table) => {
      const row = this.#one(table);
      if (row === undefined) return;
      const { rows } = await this.cluster.query(`DELETE FROM ${table} WHERE tenant = $1 AND id = $2 RETURNING *`, [row.tenant, row.id]);
      this.#of(table).delete(`${row.tenant}/${row.id}`);
      this.#look(table, rows, 'of DELETE', 1);
    },
    upsert: async (table) => {
      const row = table === 'dated' ? undefined : this.#one(table);
      if (row === undefined) return;
      const { rowCount } = await this.cluster.query(`INSERT INTO ${table} (tenant, id, lane, v, mark) VALUES ($1, $2, $3, 0, ':') ON CONFLICT (tenant, id) DO UPDATE SET v = ${table}.v + 1`, [row.tenant, row.id, this.lane]);
      row.v += 1;
      if (rowCount !== 1) this.#object(`${rowCount} rows of ${table} were inserted or updated`);
    },
    block: async (table) => {
      const [row, other, old] = [this.#newRow(), this.#newRow(), this.#one('first')];
      await this.#inBlock('BEGIN', async (client) => {
        await client.query(...this.#insertOf(table, row));
        if (this.random.chance(0.3)) await client.query('SAVEPOINT a');
        await client.query(...this.#insertOf('first', other));
        if (old !== undefined) await client.query('UPDATE first SET v = v + 1 WHERE tenant = $1 AND id = $2', [old.tenant, old.id]);
        this.#look(table, (await client.query(`SELECT * FROM ${table} WHERE tenant = $1 AND id = $2`, [row.tenant, row.id])).rows, 'in a block', 1);
      });
      this.#keep(table, row);
      this.#keep('first', other);
      if (old !== undefined) old.v += 1;
    },
    rolledBack: async (table) => {
      const client = await this.#connected();
      try {
        await client.query('BEGIN');
        await client.query(...this.#insertOf(table, this.#newRow()));
        await client.query(`UPDATE ${table} SET v = v + 1 WHERE lane = $1`, [this.lane]);
      } finally {
        await this.#quiet(client);
      }
    },
    star: async (table) => {
      const row = this.#one(table);
      if (row === undefined) return;
      const name = this.random.chance(0.5) ? { name: `star of ${table}` } : {};
      const { rows } = await this.cluster.query({ ...name, text: `SELECT * FROM ${table} WHERE tenant = $1 AND id = $2`, values: [row.tenant, row.id] });
      this.#look(table, rows, 'of *', 1);
    },
    starOfAll: async (table) => {
      const { rows } = await this.cluster.query({ text: `SELECT * FROM ${table} WHERE lane IN ($1, 0)`, values: [this.lane] });
      this.#look(table, rows, 'of * of all', this.#of(table).size + 6);
    },
    own: async (table) => {
      const { rows } = await this.cluster.query(`SELECT tenant, id, v, mark FROM ${table} WHERE lane = $1`, [this.lane]);
      this.#compare(table, rows, 'own');
    },
    sums: async (table) => {
      const { rows } = await this.cluster.query(`SELECT count(*)::int AS count, coalesce(sum(v), 0)::int AS sum FROM ${table} WHERE lane = $1`, [this.lane]);
      const stored = [...this.#of(table).values()];
      const expected = { count: stored.length, sum: stored.reduce((sum, { v }) => sum + v, 0) };
      if (JSON.stringify(rows) !== JSON.stringify([expected])) this.#object(`sums of ${table}: ${JSON.stringify(rows)}, not ${JSON.stringify(expected)}`);
    },
    joined: async () => {
      const { rows } = await this.cluster.query('SELECT count(*)::int AS count, count(b.id)::int AS both FROM first a LEFT JOIN second b USING (tenant, id) WHERE a.lane = $1', [this.lane]);
      const [first, second] = [this.#of('first'), this.#of('second')];
      const expected = { count: first.size, both: [...first.keys()].filter((key) => second.has(key)).length };
      if (JSON.stringify(rows) !== JSON.stringify([expected])) this.#object(`joined: ${JSON.stringify(rows)}, not ${JSON.stringify(expected)}`);
    },
    staged: async (table) => {
      const { rows } = await this.cluster.query(`SELECT count(*)::int AS count FROM ${table} WHERE lane = $1 AND v NOT IN (SELECT -1 - v FROM alone WHERE lane = $1 AND v IS NOT NULL ORDER BY v LIMIT 100)`, [this.lane]);
      const expected = { count: this.#of(table).size };
      if (JSON.stringify(rows) !== JSON.stringify([expected])) this.#object(`in stages: ${JSON.stringify(rows)} of ${table}, not ${JSON.stringify(expected)}`);
    },
    cursor: async (table) => {
      const rows: Row[] = [];
      await this.#inBlock('BEGIN', async (client) => {
        await client.query(`DECLARE c CURSOR FOR SELECT * FROM ${table} WHERE lane = ${this.lane} ORDER BY tenant, id`);
        for (;;) {
          const { rows: some } = await client.query('FETCH 7 FROM c');
          rows.push(...(some as Row[]));
          if (some.length < 7) return;
        }
      });
      this.#look(table, rows, 'of a cursor', this.#of(table).size);
    },
    repeatable: async (table) => {
      const text = `SELECT tenant, id, v, mark FROM ${table} WHERE lane = ${this.lane} ORDER BY 1, 2`;
      const seen: string[] = [];
      await this.#inBlock('BEGIN ISOLATION LEVEL REPEATABLE READ', async (client) => {
        for (let i = 0; i < 2; i += 1) {
          const { rows } = await client.query(text);
          seen.push(JSON.stringify(rows.map((row: Row) => [row['tenant'], row['id'], Number(row['v'])])));
          // As in PostgreSQL, a table that was rewritten since the snapshot is empty in it.
          if (rows.length === this.#of(table).size) this.#compare(table, rows, 'of a snapshot');
          else this.tell({ kind: 'done', deed: rows.length === 0 ? 'empty in a snapshot' : `partly in a snapshot, ${table}` });
          await wait(this.random.int(0, 30));
        }
      });
    },
    copyIn: async (table) => {
      const rows = [this.#newRow(), this.#newRow(), this.#newRow()];
      const lines = rows.map(({ tenant, id, v }) => `${tenant}\t${id}\t${this.lane}\t${v}\t${markOf(this.lane, tenant, id)}\n`);
      await this.cluster.copyFrom(`COPY ${table} (tenant, id, lane, v, mark) FROM STDIN`, Readable.from(lines));
      for (const row of rows) this.#keep(table, row);
    },
    copyOut: async (table) => {
      const lines = (await textOf(this.cluster.copyTo(`COPY (SELECT tenant, id, v, mark FROM ${table} WHERE lane = ${this.lane}) TO STDOUT`))).split('\n').filter((line) => line !== '');
      this.#compare(table, lines.map((line) => line.split('\t')).map(([tenant, id, v, mark]) => ({ tenant, id, v, mark })), 'of COPY');
    },
    view: async (table) => {
      const { rows } = await this.cluster.query(`SELECT * FROM view_${table} WHERE lane = $1`, [this.lane]);
      this.#look(table, rows, 'of a view', this.#of(table).size);
    },
    /** Statements of a session that are prepared once and for all. */
    session: async (table) => {
      const client = await this.#connected();
      try {
        const row = this.#newRow();
        await client.query({ name: `insert ${table}`, text: `INSERT INTO ${table} (tenant, id, lane, v, mark) VALUES ($1, $2, $3, $4, $5)`, values: [row.tenant, row.id, this.lane, row.v, markOf(this.lane, row.tenant, row.id)] });
        this.#keep(table, row);
        const { rows } = await client.query({ name: `all of ${table}`, text: `SELECT * FROM ${table} WHERE lane = $1`, values: [this.lane] });
        this.#look(table, rows, 'of a session', this.#of(table).size);
      } finally {
        await this.#quiet(client);
      }
    },
  };

  async #connected(): Promise<ClusterClient> {
    return (this.#session ??= await this.cluster.connect());
  }

  async #inBlock(begin: string, work: (client: ClusterClient) => Promise<void>): Promise<void> {
    const client = await this.#connected();
    let isCommitted = false;
    try {
      await client.query(begin);
      await work(client);
      const { command } = await client.query('COMMIT');
      isCommitted = command === 'COMMIT';
      if (!isCommitted) this.#object(`COMMIT came back as ${command}`);
    } finally {
      if (!isCommitted) await this.#quiet(client);
    }
  }

  /** A session has to be of use again after whatever happened in it, unless its connection is gone. */
  async #quiet(client: ClusterClient): Promise<void> {
    try {
      await client.query('ROLLBACK');
      await client.query('SELECT 1');
    } catch (error) {
      const code = sqlStateOf(error) ?? 'none';
      if (!/^(08|57)/.test(code)) this.#object(`a session stays broken: ${code} ${String(error)}`);
      client.release(true);
      this.#session = undefined;
    }
  }

  #newRow(): Stored {
    this.#id += 1;
    return { tenant: this.random.int(1, 20), id: this.lane * 1_000_000 + this.#id, v: this.random.int(0, 9) };
  }

  #insertOf(table: AppTable, { tenant, id, v }: Stored): [string, unknown[]] {
    return [`INSERT INTO ${table} (tenant, id, lane, v, mark, code) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *`, [tenant, id, this.lane, v, markOf(this.lane, tenant, id), (id % 5) + 1]];
  }

  #of(table: AppTable): Map<string, Stored> {
    const stored = this.#stored.get(table);
    if (stored === undefined) throw new Error(`no table ${table}`);
    return stored;
  }

  #keep(table: AppTable, row: Stored): void {
    this.#of(table).set(`${row.tenant}/${row.id}`, { ...row });
  }

  #one(table: AppTable): Stored | undefined {
    const rows = [...this.#of(table).values()];
    return rows.length === 0 ? undefined : this.random.pick(rows);
  }

  #look(table: AppTable, rows: readonly Row[], how: string, count: number): void {
    if (rows.length !== count) this.#object(`${rows.length} rows ${how} of ${table}, not ${count}`);
    for (const row of rows) {
      const wrong = wrongRow(row);
      if (wrong !== undefined) this.#object(`${how} of ${table}: ${wrong}`);
    }
  }

  #compare(table: AppTable, rows: readonly Row[], how: string): void {
    const lines = (values: Iterable<readonly [unknown, unknown, unknown]>): string[] => [...values].map(([tenant, id, v]) => `${String(tenant)}/${String(id)}: ${Number(v)}`).sort();
    const expected = lines([...this.#of(table).values()].map(({ tenant, id, v }) => [tenant, id, v] as const));
    const found = lines(rows.map((row) => [row['tenant'], row['id'], row['v']] as const));
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    const [missing, more] = [expected.filter((line) => !found.includes(line)), found.filter((line) => !expected.includes(line))];
    this.#object(`${how} of ${table}: missing ${missing.slice(0, 3).join(', ')} (${missing.length}); too many ${more.slice(0, 3).join(', ')} (${more.length})`);
  }

  #object(about: string): void {
    this.tell({ kind: 'objection', about: `lane ${this.lane}: ${about}` });
  }
}

import { allOrAbort } from '../../base/abort.ts';
import { lsnText } from '../../cluster/lsn.ts';
import type { CreatedSlot } from '../../cluster/replication-connection.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { dropSlot, endOtherUsers } from '../drop-objects.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import type { MovedTable } from '../moved-tables.ts';
import { unchangedGroup } from '../unchanged-group.ts';
import { withConnection } from '../with-connection.ts';
import { positionTable } from './create.ts';

/** Tables that are copied side by side. */
const copiesMax = 2;

/**
 * Makes the slot, and copies the rows that were committed before its changes begin: no change is missed, none seen twice. Done again it begins from the beginning, with another slot.
 */
export async function copy(context: MoveContext): Promise<void> {
  const { pools, job, signal } = context;
  const group = await unchangedGroup(context);
  const { slot, staging } = namesOf(context);
  const tables = group.tables.map((table) => ({ table, target: quoteQualified(staging, table.name) }));
  await endOtherUsers(pools.get(job.target), tables.map(({ target }) => target), signal);
  await dropSlot(pools.get(job.source), slot, signal);
  const replication = await pools.get(job.source).replicate({ signal });
  try {
    const created = await replication.createSlot(slot, { signal });
    const counted = new CopiedBytes(context, await totalBytes(context, group.tables));
    await copyAll(context, tables, { created, counted });
    const position = `INSERT INTO ${positionTable(staging)} (lsn) VALUES ($1) ON CONFLICT (one_row) DO UPDATE SET lsn = excluded.lsn`;
    await pools.get(job.target).query({ text: position, values: [lsnText(created.consistentPoint)] }, { signal });
  } finally {
    await replication.end();
  }
}

interface CopiedTable {
  readonly table: MovedTable;
  readonly target: string;
}

interface Copying {
  readonly created: CreatedSlot;
  readonly counted: CopiedBytes;
}

async function copyAll(context: MoveContext, tables: readonly CopiedTable[], copying: Copying): Promise<void> {
  const left = [...tables];
  const lanes = Array.from({ length: Math.min(copiesMax, tables.length) }, () => async (signal: AbortSignal) => {
    await withConnection(context.pools.get(context.job.source), signal, async (source) => {
      await source.query({ text: `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${copying.created.snapshot}'; ${definitionSettings}`, simple: true }, { signal });
      for (let next = left.shift(); next !== undefined; next = left.shift()) await copyTable({ ...context, signal }, source, { ...copying, ...next });
      await source.query({ text: 'COMMIT' });
    });
  });
  await allOrAbort(context.signal, lanes);
}

/** Frozen, since the table is truncated in the same transaction: nobody has to write these pages again. */
async function copyTable({ pools, job, signal }: MoveContext, source: NodeConnection, { table, target, counted }: CopiedTable & Copying): Promise<void> {
  const columns = table.definition.columns.filter(({ generated }) => generated === null).map(({ name }) => quoteIdentifier(name)).join(', ');
  const format = await hasPortableTypes(source, table, signal) ? 'binary' : 'text';
  await withConnection(pools.get(job.target), signal, async (connection) => {
    await connection.query({ text: `BEGIN; ${definitionSettings}; TRUNCATE ONLY ${target}`, simple: true }, { signal });
    const sink = await connection.copyIn(`COPY ${target} (${columns}) FROM STDIN (FORMAT ${format}, FREEZE)`, { signal });
    const rows = source.copyOut(`COPY ${table.sql} (${columns}) TO STDOUT (FORMAT ${format})`, { signal });
    for await (const chunk of rows) {
      await sink.write(chunk);
      counted.add(chunk.length);
    }
    await sink.end();
    await connection.query({ text: 'COMMIT' });
  });
}

/**
 * Whether values have the same binary form on every server: built-in types, but for those that name objects by OID, and enums. What is made of types of a user's has their OIDs in it.
 */
async function hasPortableTypes(source: NodeConnection, { sql }: MovedTable, signal: AbortSignal): Promise<boolean> {
  const text = `
    SELECT coalesce(bool_and(t.typsend <> 0 AND t.typreceive <> 0 AND (t.typtype = 'e'
      OR (t.oid < 16384 AND t.typtype IN ('b', 'r', 'm') AND t.typname !~ '^_?(reg|xml|money)'))), true)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = $1::text::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''`;
  const { rows } = await source.query({ text, values: [sql] }, { signal });
  return rows[0]?.[0] === 't';
}

async function totalBytes({ pools, job, signal }: MoveContext, tables: readonly MovedTable[]): Promise<number> {
  const sum = tables.map((_, i) => `pg_catalog.pg_table_size($${i + 1}::text::pg_catalog.regclass)`).join(' + ');
  const { rows } = await pools.get(job.source).query({ text: `SELECT ${sum}`, values: tables.map(({ sql }) => sql) }, { signal });
  return Number(rows[0]?.[0] ?? 0);
}

class CopiedBytes {
  #copied = 0;

  constructor(
    private readonly context: MoveContext,
    private readonly total: number,
  ) {}

  add(bytes: number): void {
    this.#copied += bytes;
    this.context.report({ bytesTotal: this.total, bytesCopied: this.#copied });
  }
}

import { at, present } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { HashRange } from '../../catalog/shard-for-hash.ts';
import { lsnText } from '../../cluster/lsn.ts';
import type { CreatedSlot, ReplicationConnection } from '../../cluster/replication-connection.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { columnList } from '../../ddl/column-list.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { endOtherUsers } from '../drop-objects.ts';
import { dropSlot } from '../../replication/drop-slot.ts';
import { inLanes } from '../in-lanes.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { type MovedGroups, type MovedShard, nodesOf, type RowHash, shardsWithRows, type TargetShard } from '../moved-tables.ts';
import { readRows, type RowsOf } from '../read-rows.ts';
import { unchangedGroups } from '../unchanged-group.ts';
import { withConnection } from '../../cluster/with-connection.ts';
import { dealRows } from '../deal-rows.ts';
import { positionTable, shardsOn } from './create.ts';
import { withSnapshot } from './with-snapshot.ts';

/** Shards that are filled side by side. */
const copiesMax = 2;

/**
 * Makes the slots, and copies the rows that were committed before their changes begin: no change is missed, none seen twice. Done again it begins from the beginning, with other slots.
 */
export async function copy(context: MoveContext): Promise<void> {
  const { pools, signal } = context;
  const groups = await unchangedGroups(context);
  const { staging } = namesOf(context);
  for (const node of nodesOf(groups.targets)) {
    await endOtherUsers(pools.get(node), shardsOn(groups.targets, node).map(({ name }) => quoteQualified(staging, name)), signal);
  }
  const snapshots = new Map<NodeId, CreatedSlot>();
  const holding: ReplicationConnection[] = [];
  try {
    for (const node of nodesOf(groups.sources)) {
      await dropSlot(pools.get(node), namesOf(context).slot(node), signal);
      const replication = await pools.get(node).replicate({ signal });
      holding.push(replication);
      snapshots.set(node, await replication.createSlot(namesOf(context).slot(node), { signal }));
    }
    await copyAll(context, groups, { snapshots, counted: new CopiedRows(context, await totalBytes(context, groups)) });
    await storePositions(context, groups, snapshots);
  } finally {
    for (const replication of holding) await replication.end();
  }
}

interface Copying {
  /** By the source's node. */
  readonly snapshots: ReadonlyMap<NodeId, CreatedSlot>;
  readonly counted: CopiedRows;
}

/** A target's shard, and those that its rows are in. */
interface Filling {
  readonly node: NodeId;
  readonly shard: TargetShard;
  readonly from: readonly { readonly node: NodeId; readonly shard: MovedShard; readonly rows: RowsOf }[];
}

async function copyAll(context: MoveContext, groups: MovedGroups, copying: Copying): Promise<void> {
  // The server does not know hashes of family murmur3.
  const isDealt = context.job.distributed !== undefined || (groups.hash?.family === 'murmur3' && groups.targets.length > 1);
  if (isDealt) return dealRows(context, groups, { slots: copying.snapshots, onRows: (bytes, rows) => copying.counted.add(bytes, rows) });
  await inLanes(fillings(groups), { lanesMax: copiesMax, signal: context.signal }, (filling, signal) => fill({ ...context, signal }, filling, copying));
}

function fillings({ sources, targets, hash }: MovedGroups): Filling[] {
  return targets.flatMap((target) => shardsWithRows(target.tables).map((shard, i) => ({
    node: target.node, shard,
    from: sources.flatMap((source) => (source.max < target.min || target.max < source.min ? [] : [{ node: source.node, shard: at(shardsWithRows(source.tables), i), rows: rowsOf(hash, source, target) }])),
  })));
}

/** Which of the source's rows are the target's. */
function rowsOf(hash: RowHash | undefined, source: HashRange, { min, max }: HashRange): RowsOf {
  return min <= source.min && source.max <= max ? 'all' : { hash: present(hash, 'hash of rows'), part: { min, max }, whole: source };
}

/** Frozen, since the table is truncated in the same transaction: nobody has to write these pages again. */
async function fill({ pools, rate, signal, ...context }: MoveContext, { node, shard, from }: Filling, { snapshots, counted }: Copying): Promise<void> {
  const target = quoteQualified(namesOf(context).staging, shard.name);
  const columns = columnList(shard.definition);
  await withConnection(pools.get(node), signal, async (connection) => {
    await connection.query({ text: `BEGIN; ${definitionSettings}; TRUNCATE ONLY ${target}`, simple: true }, { signal });
    for (const source of from) {
      await withSnapshot(pools.get(source.node), present(snapshots.get(source.node)), signal, async (reading) => {
        const format = (await hasPortableTypes(reading, source.shard, signal)) ? 'binary' : 'text';
        const sink = await connection.copyIn(`COPY ${target} (${columns}) FROM STDIN (FORMAT ${format}, FREEZE)`, { signal });
        await readRows(reading, { shard: source.shard, rows: source.rows, format }, { signal, write: async (chunk, rows) => {
          await rate.pass(chunk.length, signal);
          await sink.write(chunk);
          counted.add(chunk.length, rows);
        } });
        await sink.end();
      });
    }
    await connection.query({ text: 'COMMIT' });
  });
}

async function storePositions(context: MoveContext, { targets }: MovedGroups, snapshots: Copying['snapshots']): Promise<void> {
  const { pools, signal } = context;
  const text = `INSERT INTO ${positionTable(namesOf(context).staging)} VALUES ($1, $2) ON CONFLICT (source) DO UPDATE SET lsn = excluded.lsn`;
  for (const node of nodesOf(targets)) {
    for (const [source, { consistentPoint }] of snapshots) await pools.get(node).query({ text, values: [source, lsnText(consistentPoint)] }, { signal });
  }
}

/**
 * Whether values have the same binary form on every server: built-in types, but for those that name objects by OID, and enums. What is made of types of a user's has their OIDs in it.
 */
async function hasPortableTypes(source: NodeConnection, { sql }: MovedShard, signal: AbortSignal): Promise<boolean> {
  const text = `
    SELECT coalesce(bool_and(t.typsend <> 0 AND t.typreceive <> 0 AND (t.typtype = 'e'
      OR (t.oid < 16384 AND t.typtype IN ('b', 'r', 'm') AND t.typname !~ '^_?(reg|xml|money)'))), true)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = $1::text::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''`;
  const { rows } = await source.query({ text, values: [sql] }, { signal });
  return rows[0]?.[0] === 't';
}

async function totalBytes({ pools, signal }: MoveContext, { sources }: MovedGroups): Promise<number> {
  let total = 0;
  for (const node of nodesOf(sources)) {
    const text = 'SELECT sum(pg_catalog.pg_table_size(name::pg_catalog.regclass)) FROM pg_catalog.unnest($1::text[]) AS name';
    const { rows } = await pools.get(node).query({ text, values: [shardsOn(sources, node).map(({ sql }) => sql)] }, { signal });
    total += Number(rows[0]?.[0] ?? 0);
  }
  return total;
}

class CopiedRows {
  #copied = 0;
  #rows = 0;

  constructor(
    private readonly context: MoveContext,
    private readonly total: number,
  ) {}

  add(bytes: number, rows: number): void {
    this.#copied += bytes;
    this.#rows += rows;
    this.context.report({ bytesTotal: this.total, bytesCopied: this.#copied, rowsCopied: this.#rows });
  }
}

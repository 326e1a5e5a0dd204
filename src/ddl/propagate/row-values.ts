import { allOrAbort } from '../../base/abort.ts';
import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId, ShardId } from '../../catalog/ids.ts';
import { shardName } from '../../catalog/shard-name.ts';
import type { NodeConnection, RawRow } from '../../cluster/node-connection.ts';
import { quoteLiteral, quoteQualified } from '../../sql/identifiers.ts';
import { broadcastRows } from '../broadcast-rows.ts';
import { underNodeSettings } from '../definition-settings.ts';
import { distributeRows } from '../move-rows.ts';
import { readDefinition } from '../read-definition.ts';
import { resolveTable } from '../change-catalog.ts';
import { ShardNames } from '../shard-names.ts';
import type { ColumnDefinition, TableDefinition } from '../table-definition.ts';
import { type DefinitionChange, type Placement, placementsOf } from './definition-change.ts';
import { nodeError } from './node-error.ts';

/** Columns that a statement adds to one table, of which each row that is there gets a value of its own. */
export interface RowColumns {
  readonly table: CatalogTable;
  /** The table as it was. */
  readonly before: TableDefinition;
  readonly columns: readonly ColumnDefinition[];
}

/** A shard with rows before the `first` of which all shards before it have theirs, from 1. */
interface Share extends Placement {
  readonly oid: string;
  readonly rows: number;
  readonly first: number;
}

/** Values that lie beside the shards until these have them. */
export interface RowValues extends RowColumns {
  readonly shares: readonly Share[];
}

const scratch = 'shardwright_values';

/** A function that gives a shard's rows their values of a column, one after the other. */
export function nextValueSql({ schema }: Pick<TableDefinition, 'schema'>, shard: ShardId, { position }: ColumnDefinition): string {
  return `${valueFunction(schema, shard, position)}()`;
}

/**
 * Computes values that no node can tell: those of sequences, which only the coordinator database has, and volatile ones of reference tables, which must be the same in each copy.
 *
 * 1. The rows are counted, under the lock that their shards have.
 * 2. The coordinator database computes as many values, as defaults of a table that is there for that alone. Which row gets which, PostgreSQL leaves open; here the values of one shard are consecutive.
 * 3. Each shard's share goes to a table beside it. Copies of a row get the same: they are counted in the order of what they hold, not of where they are.
 * 4. Functions give the values out in the order in which PostgreSQL reads the shard when it writes it anew, with such a function as the new column's default. So it goes as with the default itself: no trigger runs, no policy
 *    and no constraint that is not validated is asked, no feed hears of it.
 *
 * Undefined when there are no rows. The transaction has to `dropRowValues` afterwards.
 */
export async function computeRowValues(change: DefinitionChange, wanted: RowColumns): Promise<RowValues | undefined> {
  const placements = placementsOf(change.snapshot, wanted.table);
  return onNodesOf(change, placements, async () => {
    const values = { ...wanted, shares: await countRows(change, wanted, placements) };
    const total = totalOf(values);
    if (total === 0) return undefined;
    await perNode(change, values.shares, async (query, shares) => query(shares.map((share) => createTable(wanted, share))));
    await computeValues(change, values, total);
    await perNode(change, values.shares, async (query, shares) => query(shares.flatMap((share) => [
      ...(wanted.table.kind === 'reference' ? [orderCopy(wanted, share)] : []), ...giveOut(wanted, share),
    ])));
    return values;
  });
}

/** Takes away all that is left of it. `unsupportedDdl` where copies of a reference table have become different. */
export async function dropRowValues(change: DefinitionChange, { table, before, columns, shares }: RowValues, after: TableDefinition): Promise<void> {
  const sums = new Set<string>();
  await onNodesOf(change, shares, () => perNode(change, shares, async (query, own) => {
    for (const { oid } of table.kind === 'reference' ? own : []) sums.add(await sumOfRows(query, oid));
    await query(own.flatMap(({ id, oid }) => [
      ...columns.flatMap(({ position }) => [`DROP FUNCTION ${valueFunction(before.schema, id, position)}`, `DROP SEQUENCE ${counter(before.schema, id, position)}`]),
      `DROP TABLE ${valueTable(before.schema, id)}`,
      ...(before.rowSecurityForced && after.rowSecurityForced ? [ofShard(oid, 'FORCE ROW LEVEL SECURITY')] : []),
    ]));
  }));
  if (sums.size > 1) throw differs(before, columns);
}

function differs({ schema, name: table }: TableDefinition, columns: readonly ColumnDefinition[]): ClusterError {
  const column = at(columns, 0).name;
  return new ClusterError('unsupportedDdl', `cannot add column "${column}" to table "${table}", which has rows`, {
    detail: 'The copies of the table on the nodes are not the same.', hint: 'Look for what differs with verify().', schema, table, column,
  });
}

function onNodesOf<T>({ transaction, options }: DefinitionChange, placements: readonly Placement[], work: () => Promise<T>): Promise<T> {
  return underNodeSettings(transaction, nodesOf(placements), { options, work });
}

function nodesOf(placements: readonly Placement[]): NodeId[] {
  return [...new Set(placements.map(({ node }) => node))];
}

/** All copies of a reference table have the same rows. */
function totalOf({ table, shares }: RowValues): number {
  return table.kind === 'reference' ? at(shares, 0).rows : shares.reduce((sum, { rows }) => sum + rows, 0);
}

type Query = (texts: readonly string[]) => Promise<readonly RawRow[]>;

/** Runs `work` for the shards of each node, the nodes side by side. */
async function perNode<P extends Placement>(change: DefinitionChange, placements: readonly P[], work: (query: Query, placements: readonly P[]) => Promise<unknown>): Promise<void> {
  await allOrAbort(change.options.signal, nodesOf(placements).map((node) => async (signal) => {
    const options = { ...change.options, signal };
    const connection: NodeConnection = await change.transaction.join(node, 'write', options);
    const query: Query = async (texts) => (texts.length === 0 ? [] : (await connection.query({ text: texts.join(';\n'), simple: true }, options)).rows);
    try {
      await work(query, placements.filter((placement) => placement.node === node));
    } catch (error) {
      throw nodeError(error, { snapshot: change.snapshot, node });
    }
  }));
}

async function countRows(change: DefinitionChange, { table, before }: RowColumns, placements: readonly Placement[]): Promise<Share[]> {
  const counted = new Map<Placement, { readonly oid: string; readonly rows: number }>();
  await perNode(change, placements, async (query, own) => {
    for (const placement of own) {
      const shard = new ShardNames(before, placement.id).sql;
      // Policies that hold for the owner as well would hide rows from being counted.
      const visible = before.rowSecurityForced ? [`ALTER TABLE ${shard} NO FORCE ROW LEVEL SECURITY`] : [];
      const [oid, rows] = at(await query([...visible, `SELECT ${quoteLiteral(shard)}::regclass::oid, count(*) FROM ${shard}`]), 0);
      counted.set(placement, { oid: oid ?? '', rows: Number(rows) });
    }
  });
  let first = 1;
  return placements.map((placement) => {
    const { oid, rows } = counted.get(placement) ?? { oid: '', rows: 0 };
    const share = { ...placement, oid, rows, first };
    if (table.kind === 'distributed') first += rows;
    return share;
  });
}

/** The values of all shards, in order; then each goes to its own. */
async function computeValues(change: DefinitionChange, { table, before, columns, shares }: RowValues, total: number): Promise<void> {
  const { coordinator, transaction, options, snapshot: { clusterId, nodes, colocationGroups } } = change;
  const relation = quoteQualified(before.schema, scratch);
  const defaults = await Promise.all(columns.map((column) => defaultOf(change, before, column)));
  await coordinator.query({ text: `CREATE UNLOGGED TABLE ${relation} (n int8, ${columns.map((column, i) => `${valueColumn(column)} ${column.type} DEFAULT ${defaults[i]}`).join(', ')})` }, options);
  await coordinator.query({ text: `INSERT INTO ${relation} (n) SELECT generate_series(1, $1::int8)`, values: [total] }, options);
  const { oid } = await resolveTable(coordinator, relation, options.signal);
  const values = await readDefinition(coordinator, oid, options);
  const inCatalog = { transaction, coordinator, clusterId, nodes, signal: options.signal };
  const group = table.kind === 'distributed' ? colocationGroups.get(table.colocationId) : undefined;
  if (group === undefined) await broadcastRows(inCatalog, { table: values, id: at(shares, 0).id, source: { connection: coordinator, relation: 'shell' }, nodes });
  else {
    const firsts = shares.map(({ first }) => first).join(',');
    const source = coordinator.copyOut(`COPY (SELECT width_bucket(n, '{${firsts}}'::int8[]), n, ${columns.map(valueColumn).join(', ')} FROM ${relation}) TO STDOUT`, options);
    await distributeRows(inCatalog, { table: values, distribution: undefined, group, shardIds: shares.map(({ id }) => id) }, { rows: source });
  }
  await coordinator.query({ text: `DROP TABLE ${relation}` }, options);
}

async function defaultOf({ coordinator, options }: DefinitionChange, { schema, name }: TableDefinition, column: ColumnDefinition): Promise<string> {
  if (column.identity === null) return column.expression ?? 'NULL';
  const { rows } = await coordinator.query({ text: `SELECT format('nextval(%L::regclass)', pg_get_serial_sequence($1, $2))`, values: [quoteQualified(schema, name), column.name] }, options);
  return at(rows, 0)[0] ?? 'NULL';
}

function valueColumn({ position }: ColumnDefinition): string {
  return `c${position}`;
}

function valueTable(schema: string, shard: ShardId): string {
  return quoteQualified(schema, shardName(scratch, shard));
}

function counter(schema: string, shard: ShardId, position: number): string {
  return quoteQualified(schema, shardName(`shardwright_next_${position}`, shard));
}

function valueFunction(schema: string, shard: ShardId, position: number): string {
  return quoteQualified(schema, shardName(`shardwright_value_${position}`, shard));
}

function createTable({ before, columns }: RowColumns, { id }: Share): string {
  return `CREATE UNLOGGED TABLE ${valueTable(before.schema, id)} (n int8, ${columns.map((column) => `${valueColumn(column)} ${column.type}`).join(', ')})`;
}

/** A copy's rows lie in an order of its own. Rows that have the same in all columns may change places. */
function orderCopy({ before }: RowColumns, { id }: Share): string {
  return `UPDATE ${valueTable(before.schema, id)} v SET n = o.place FROM (
    SELECT row_number() OVER (ORDER BY r.ctid) AS place, row_number() OVER (ORDER BY (r.*)::text COLLATE "C", r.ctid) AS rank FROM ${new ShardNames(before, id).sql} AS r
  ) o WHERE o.rank = v.n`;
}

function giveOut({ before: { schema }, columns }: RowColumns, { id, first }: Share): string[] {
  const values = valueTable(schema, id);
  return [
    `ALTER TABLE ${values} ADD PRIMARY KEY (n)`,
    ...columns.flatMap((column) => {
      const next = counter(schema, id, column.position);
      const body = `SELECT ${valueColumn(column)} FROM ${values} WHERE n = (SELECT pg_catalog.nextval(${quoteLiteral(next)}))`;
      return [
        `CREATE UNLOGGED SEQUENCE ${next} START ${first} CACHE 100`,
        `CREATE FUNCTION ${valueFunction(schema, id, column.position)}() RETURNS ${column.type} LANGUAGE sql VOLATILE AS ${quoteLiteral(body)}`,
      ];
    }),
  ];
}

async function sumOfRows(query: Query, oid: string): Promise<string> {
  const [shard] = at(await query([`SELECT ${oid}::regclass`]), 0);
  const [sum] = at(await query([`SELECT sum(hashtextextended((r.*)::text COLLATE "C", 0)) FROM ${shard ?? ''} AS r`]), 0);
  return sum ?? '';
}

/** By its OID: its name may have changed. */
function ofShard(oid: string, action: string): string {
  return `DO ${quoteLiteral(`BEGIN EXECUTE format('ALTER TABLE %s ${action}', ${oid}::regclass); END`)}`;
}

import { types as defaultTypes, type CustomTypesConfig, type QueryResult } from 'pg';
import { present } from '../base/assert.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import { type NodeId, shardId } from '../catalog/ids.ts';
import type { FieldDescriptor } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { coordinatorTypes, nodeNames, shardColumns } from './object-names.ts';
import { tableOfShard } from './table-of-shard.ts';
import { firstUserOid } from '../sql/values/type-oid.ts';

/** What fields of a node's result speak of: the tables that the statement names. */
export interface FieldContext {
  readonly node: NodeId;
  readonly snapshot: CatalogSnapshot;
  readonly tables: readonly CatalogTable[];
}

type Parser = (text: string) => unknown;

interface KnownObjects {
  /** OIDs of types in the coordinator database, by those on the node. */
  readonly types: Map<number, number>;
  readonly tables: Map<number, CatalogTable>;
  /** By the OID of a shard: positions of columns in the table, by those in the shard. They stay, whatever is done to the table. */
  readonly positions: Map<number, ReadonlyMap<number, number>>;
  readonly parsers: WeakMap<CustomTypesConfig, CustomTypesConfig>;
}

/**
 * Turns the OIDs of types and tables in nodes' results into those of the coordinator database, where an application looks them up.
 * Names are asked for when an OID is first met, once per node; built-in types and statements on one table need no asking.
 */
export class NodeObjects {
  readonly #known = new Map<NodeId, KnownObjects>();

  constructor(private readonly pools: NodePools) {}

  /** Parsers for a node's result: the caller's, by the coordinator database's OIDs. A type not known yet is left as text. */
  parsers(node: NodeId, types: CustomTypesConfig | undefined): CustomTypesConfig {
    const { parsers, types: known } = this.#of(node);
    const inner = types ?? defaultTypes;
    if (node === coordinatorNodeId) return inner;
    const made = parsers.get(inner);
    if (made !== undefined) return made;
    const getTypeParser = ((oid: number, format: 'text') => (oid < firstUserOid ? inner.getTypeParser(oid, format) : parserOf(inner, known.get(oid)))) as CustomTypesConfig['getTypeParser'];
    parsers.set(inner, { getTypeParser });
    return { getTypeParser };
  }

  /** Changes a result that was parsed with `parsers`. At once, where all OIDs are known: the hot path. */
  translate(result: QueryResult, context: FieldContext, types: CustomTypesConfig | undefined): QueryResult | Promise<QueryResult> {
    const fields = this.#translated(result.fields, context);
    if (fields === undefined) return this.#learned(result, context, types ?? defaultTypes);
    result.fields = fields;
    return result;
  }

  /** The fields as the coordinator database would describe them. */
  async fields(fields: readonly FieldDescriptor[], context: FieldContext): Promise<readonly FieldDescriptor[]> {
    const translated = this.#translated(fields, context);
    if (translated !== undefined) return translated;
    await this.#learn(fields, context);
    return this.#translated(fields, context, 'learned') ?? fields;
  }

  async #learned(result: QueryResult, context: FieldContext, types: CustomTypesConfig): Promise<QueryResult> {
    const unknown = result.fields.map(({ dataTypeID }) => dataTypeID >= firstUserOid && !this.#of(context.node).types.has(dataTypeID));
    result.fields = [...(await this.fields(result.fields, context))];
    const last = new Map(result.fields.map(({ name }, i) => [name, i]));
    for (const [i, field] of result.fields.entries()) {
      if (unknown[i] !== true) continue;
      const parse = parserOf(types, field.dataTypeID);
      if (Reflect.get(result, 'rowAsArray') === true) parseColumn(result.rows, i, parse);
      else if (last.get(field.name) === i) parseColumn(result.rows, field.name, parse);
    }
    return result;
  }

  /** Undefined when an OID is not known yet, or the place of a column, unless all that could be was `learned`. The given array when nothing changes. */
  #translated<F extends FieldDescriptor>(fields: readonly F[], { node, tables }: FieldContext, how?: 'learned'): F[] | undefined {
    if (node === coordinatorNodeId) return [...fields];
    const known = this.#of(node);
    const translated: F[] = [];
    for (const field of fields) {
      const { tableID, columnID, dataTypeID } = field;
      const type = dataTypeID < firstUserOid ? dataTypeID : known.types.get(dataTypeID);
      const table = tableID < firstUserOid ? undefined : tables.length === 1 ? tables[0] : known.tables.get(tableID);
      if (type === undefined || (tableID >= firstUserOid && table === undefined)) return undefined;
      const column = table === undefined || columnID <= 0 ? columnID : hasGaps(table) ? (known.positions.get(tableID)?.get(columnID) ?? (how === 'learned' ? columnID : undefined)) : columnID;
      if (column === undefined) return undefined;
      if (table === undefined && type === dataTypeID) translated.push(field);
      else translated.push({ ...field, dataTypeID: type, tableID: table?.oid ?? tableID, columnID: column });
    }
    return translated;
  }

  /** The rows are there already: what cannot be asked now keeps the node's OIDs. */
  async #learn(fields: readonly FieldDescriptor[], context: FieldContext): Promise<void> {
    const oids = fields.flatMap(({ dataTypeID, tableID }) => [dataTypeID, tableID]).filter((oid) => oid >= firstUserOid);
    const known = this.#of(context.node);
    try {
      const { types, tables } = await nodeNames(this.pools.get(context.node), oids);
      for (const { oid, shard } of tables) {
        const table = tableOfShard(context.snapshot, shardId(shard));
        if (table !== undefined) known.tables.set(oid, table);
      }
      await this.#learnPositions(fields, context);
      const rowTypes = types.map((type) => ({ ...type, name: type.shard === undefined ? type.name : (tableOfShard(context.snapshot, shardId(type.shard))?.name ?? type.name) }));
      const own = await coordinatorTypes(this.pools.get(coordinatorNodeId), rowTypes);
      for (const [i, { oid }] of types.entries()) known.types.set(oid, own[i] ?? oid);
    } catch {
      // A later result asks again.
    }
  }

  /** A shard has not the gaps of its table, but those of columns that were dropped since it was made. */
  async #learnPositions(fields: readonly FieldDescriptor[], { node, tables }: FieldContext): Promise<void> {
    if (!tables.some(hasGaps)) return;
    const { positions } = this.#of(node);
    const shards = [...new Set(fields.map(({ tableID }) => tableID).filter((oid) => oid >= firstUserOid))];
    for (const { shard, names } of await shardColumns(this.pools.get(node), shards)) {
      const table = tables.length === 1 ? tables[0] : this.#of(node).tables.get(shard);
      positions.set(shard, new Map(names.map(([attnum, name]) => [attnum, table?.columns.find((column) => column.name === name)?.position ?? attnum])));
    }
  }

  #of(node: NodeId): KnownObjects {
    let known = this.#known.get(node);
    if (known === undefined) {
      known = { types: new Map(), tables: new Map(), positions: new Map(), parsers: new WeakMap() };
      this.#known.set(node, known);
    }
    return present(known);
  }
}

/** Whether columns were dropped from it, so that its positions may not be those of its shards. */
function hasGaps({ columns }: CatalogTable): boolean {
  return (columns.at(-1)?.position ?? 0) !== columns.length;
}

function parserOf(types: CustomTypesConfig, oid: number | undefined): Parser {
  return oid === undefined ? String : (types.getTypeParser(oid, 'text') as Parser);
}

function parseColumn(rows: readonly unknown[], column: string | number, parse: Parser): void {
  for (const row of rows) {
    if (typeof row !== 'object' || row === null) continue;
    const text: unknown = Reflect.get(row, column);
    if (typeof text === 'string') Reflect.set(row, column, parse(text));
  }
}

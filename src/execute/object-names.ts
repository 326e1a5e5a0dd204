import type { NodeConnections } from '../cluster/node-connection.ts';

/** A type on a node, named so that it can be found elsewhere. */
export interface NamedType {
  readonly oid: number;
  readonly schema: string;
  /** Of an array type its element's. */
  readonly name: string;
  readonly isArray: boolean;
  /** The shard whose row type it is. */
  readonly shard: number | undefined;
}

export interface NodeNames {
  readonly types: readonly NamedType[];
  /** All shards on the node, so that one asking is enough for all of them. */
  readonly tables: readonly { readonly oid: number; readonly shard: number }[];
}

type Connections = Pick<NodeConnections, 'query'>;

export async function nodeNames(node: Connections, oids: readonly number[]): Promise<NodeNames> {
  const [types, tables] = await Promise.all([
    node.query({
      text: `SELECT t.oid, n.nspname, named.typname, e.oid IS NOT NULL, CASE WHEN c.relkind IN ('r', 'p') THEN pg_catalog.substring(c.relname, '_([0-9]{6,15})$') END
        FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid
        JOIN pg_catalog.pg_type named ON named.oid = coalesce(e.oid, t.oid) JOIN pg_catalog.pg_namespace n ON n.oid = named.typnamespace
        LEFT JOIN pg_catalog.pg_class c ON c.oid = named.typrelid WHERE t.oid = ANY ($1::oid[])`,
      values: [oids],
    }),
    node.query({
      text: `SELECT oid, pg_catalog.substring(relname, '_([0-9]{6,15})$') FROM pg_catalog.pg_class
        WHERE oid >= 16384 AND relkind IN ('r', 'p') AND relname ~ '_[0-9]{6,15}$'`,
    }),
  ]);
  return {
    types: types.rows.map(([oid, schema, name, isArray, shard]) => ({
      oid: Number(oid), schema: schema ?? '', name: name ?? '', isArray: isArray === 't', shard: shard === null || shard === undefined ? undefined : Number(shard),
    })),
    tables: tables.rows.map(([oid, shard]) => ({ oid: Number(oid), shard: Number(shard) })),
  };
}

/** Columns of shards on a node, by position. */
export async function shardColumns(node: Connections, oids: readonly number[]): Promise<{ readonly shard: number; readonly names: readonly (readonly [position: number, name: string])[] }[]> {
  const { rows } = await node.query({
    text: `SELECT attrelid, pg_catalog.json_agg(pg_catalog.json_build_array(attnum, attname)) FROM pg_catalog.pg_attribute
      WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped GROUP BY 1`,
    values: [oids],
  });
  return rows.map(([shard, names]) => ({ shard: Number(shard), names: JSON.parse(names ?? '[]') as [number, string][] }));
}

/** The OIDs of types of these names, in order; undefined for one that is missing. */
export async function coordinatorTypes(coordinator: Connections, types: readonly NamedType[]): Promise<(number | undefined)[]> {
  if (types.length === 0) return [];
  const { rows } = await coordinator.query({
    text: `SELECT CASE WHEN x.is_array THEN t.typarray ELSE t.oid END
      FROM ROWS FROM (unnest($1::text[]), unnest($2::text[]), unnest($3::bool[])) WITH ORDINALITY AS x (schema, name, is_array, place)
      LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema LEFT JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = x.name
      ORDER BY x.place`,
    values: [types.map(({ schema }) => schema), types.map(({ name }) => name), types.map(({ isArray }) => isArray)],
  });
  return rows.map(([oid]) => (oid === null || oid === undefined || oid === '0' ? undefined : Number(oid)));
}

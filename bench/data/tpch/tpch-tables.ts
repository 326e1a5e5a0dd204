import type { TableDefinition, TablePlacement } from '../table-definition.ts';

export const tpchTableNames = ['region', 'nation', 'supplier', 'part', 'partsupp', 'customer', 'orders', 'lineitem'] as const;
export type TpchTableName = (typeof tpchTableNames)[number];

/**
 * How the tables are placed. `by-key`: each by its own key, but for regions and nations. `reference`: only orders and
 * their lines are distributed, by the order's key; all dimensions are reference tables.
 */
export const tpchLayouts = ['by-key', 'reference'] as const;
export type TpchLayout = (typeof tpchLayouts)[number];

/** All tables in the order in which they can be made and filled. They have their primary keys, and `lineitem` an index. */
export function tpchTables(layout: TpchLayout): readonly (TableDefinition & { readonly name: TpchTableName })[] {
  return tpchTableNames.map((name) => ({
    name,
    columns: definitions[name].columns.map((definition) => definition.split(' ', 1)[0] ?? ''),
    statements: [
      `CREATE TABLE ${name} (${definitions[name].columns.map((definition) => `${definition} NOT NULL`).join(', ')}, PRIMARY KEY (${definitions[name].key}))`,
      ...(definitions[name].index === undefined ? [] : [`CREATE INDEX ${name}_part ON ${name} (${definitions[name].index})`]),
    ],
    placement: placementOf(name, layout),
  }));
}

function placementOf(name: TpchTableName, layout: TpchLayout): TablePlacement {
  const column = layout === 'by-key' || name === 'orders' || name === 'lineitem' ? definitions[name].distributedBy : undefined;
  if (column === undefined) return { kind: 'reference' };
  return name === 'lineitem' ? { kind: 'distributed', column, colocateWith: 'orders' } : { kind: 'distributed', column };
}

interface Definition {
  readonly columns: readonly string[];
  readonly key: string;
  readonly index?: string;
  /** In the layout `by-key`; none for what is a reference table in both. */
  readonly distributedBy?: string;
}

/** Columns and types of 1.4.1: identifiers are bigint, all columns are NOT NULL. */
const definitions: Readonly<Record<TpchTableName, Definition>> = {
  region: { key: 'r_regionkey', columns: ['r_regionkey integer', 'r_name char(25)', 'r_comment varchar(152)'] },
  nation: { key: 'n_nationkey', columns: ['n_nationkey integer', 'n_name char(25)', 'n_regionkey integer', 'n_comment varchar(152)'] },
  supplier: {
    key: 's_suppkey',
    distributedBy: 's_suppkey',
    columns: [
      's_suppkey bigint', 's_name char(25)', 's_address varchar(40)', 's_nationkey integer', 's_phone char(15)', 's_acctbal numeric(15,2)',
      's_comment varchar(101)',
    ],
  },
  part: {
    key: 'p_partkey',
    distributedBy: 'p_partkey',
    columns: [
      'p_partkey bigint', 'p_name varchar(55)', 'p_mfgr char(25)', 'p_brand char(10)', 'p_type varchar(25)', 'p_size integer',
      'p_container char(10)', 'p_retailprice numeric(15,2)', 'p_comment varchar(23)',
    ],
  },
  partsupp: {
    key: 'ps_partkey, ps_suppkey',
    distributedBy: 'ps_partkey',
    columns: ['ps_partkey bigint', 'ps_suppkey bigint', 'ps_availqty integer', 'ps_supplycost numeric(15,2)', 'ps_comment varchar(199)'],
  },
  customer: {
    key: 'c_custkey',
    distributedBy: 'c_custkey',
    columns: [
      'c_custkey bigint', 'c_name varchar(25)', 'c_address varchar(40)', 'c_nationkey integer', 'c_phone char(15)', 'c_acctbal numeric(15,2)',
      'c_mktsegment char(10)', 'c_comment varchar(117)',
    ],
  },
  orders: {
    key: 'o_orderkey',
    distributedBy: 'o_orderkey',
    columns: [
      'o_orderkey bigint', 'o_custkey bigint', 'o_orderstatus char(1)', 'o_totalprice numeric(15,2)', 'o_orderdate date',
      'o_orderpriority char(15)', 'o_clerk char(15)', 'o_shippriority integer', 'o_comment varchar(79)',
    ],
  },
  lineitem: {
    key: 'l_orderkey, l_linenumber',
    // A foreign key, as 1.5.4 allows: without it one PostgreSQL reads all lines once per part in queries 17 and 20, and takes minutes.
    index: 'l_partkey, l_suppkey',
    distributedBy: 'l_orderkey',
    columns: [
      'l_orderkey bigint', 'l_partkey bigint', 'l_suppkey bigint', 'l_linenumber integer', 'l_quantity numeric(15,2)',
      'l_extendedprice numeric(15,2)', 'l_discount numeric(15,2)', 'l_tax numeric(15,2)', 'l_returnflag char(1)', 'l_linestatus char(1)',
      'l_shipdate date', 'l_commitdate date', 'l_receiptdate date', 'l_shipinstruct char(25)', 'l_shipmode char(10)', 'l_comment varchar(44)',
    ],
  },
};

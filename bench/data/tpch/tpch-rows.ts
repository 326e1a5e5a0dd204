import type { DataRow } from '../copy-text.ts';
import { customerRows } from './customer-rows.ts';
import { nationRows, regionRows } from './fixed-rows.ts';
import { lineitemRows } from './lineitem-rows.ts';
import { orderRows } from './order-rows.ts';
import { partRows } from './part-rows.ts';
import { partsuppRows } from './partsupp-rows.ts';
import { supplierRows } from './supplier-rows.ts';
import type { TpchTableName } from './tpch-tables.ts';
import type { TpchSize } from './tpch-size.ts';
import { tpchWorld } from './tpch-world.ts';

export interface TpchRows {
  readonly size: TpchSize;
  /** Rows in the column order of `tpchTables`, each made when it is asked for. */
  rowsOf(table: TpchTableName): Iterable<DataRow>;
}

/** One of which even scale 0.01 has suppliers in every nation, and rows for every query. */
const defaultSeed = 10;

/**
 * The rows of TPC-H (clause 4.2 of its specification, revision 3) at a scale of 0.001 or more: the same for the same scale and seed. The numbers
 * are not those of the council's own program, so that published answers only agree in proportion.
 */
export function tpchRows(scale: number, seed: number = defaultSeed): TpchRows {
  const world = tpchWorld(scale, seed);
  return { size: world.size, rowsOf: (table) => rowsByTable[table](world) };
}

const rowsByTable: Readonly<Record<TpchTableName, (world: ReturnType<typeof tpchWorld>) => Iterable<DataRow>>> = {
  region: regionRows,
  nation: nationRows,
  supplier: supplierRows,
  part: partRows,
  partsupp: partsuppRows,
  customer: customerRows,
  orders: orderRows,
  lineitem: lineitemRows,
};

import { columnRandom, type ColumnRandom } from './column-random.ts';
import { currentDay, endDay } from './calendar.ts';
import { partSupplier } from './part-supplier.ts';
import { retailPriceCents } from './retail-price.ts';
import { suppliersPerPart, type TpchSize } from './tpch-size.ts';
import type { TpchWorld } from './tpch-world.ts';

/** What an order's row and its lines' rows both depend on. */
export interface OrderLine {
  /** From 1. */
  readonly number: number;
  /** The row's place among all possible lines: where its other random values are. */
  readonly position: number;
  readonly part: number;
  readonly supplier: number;
  readonly quantity: number;
  readonly priceCents: number;
  /** In hundredths. */
  readonly discount: number;
  readonly tax: number;
  readonly shipDay: number;
  readonly commitDay: number;
  readonly receiptDay: number;
  /** `O`pen when it ships after the current date, else `F`ulfilled. */
  readonly status: 'O' | 'F';
}

export interface OrderLines {
  /** The day of an order. `order` counts from 1, without gaps. */
  dayOf(order: number): number;
  /** One to seven lines. */
  linesOf(order: number): readonly OrderLine[];
}

const linesMax = 7;
const positionsPerOrder = 8;

/** The last order is made so early that all its goods are received by the end. */
const lastOrderDay = endDay - 151;

const streams = {
  orderDay: 71, lines: 72, part: 73, supplier: 74, quantity: 75, discount: 76, tax: 77, shipDays: 78, commitDays: 79, receiptDays: 80,
} as const;

type Columns = Readonly<Record<keyof typeof streams, ColumnRandom>>;

export function orderLines({ random, size }: TpchWorld): OrderLines {
  const column = (name: keyof typeof streams): ColumnRandom => columnRandom(random, streams[name]);
  const columns: Columns = {
    orderDay: column('orderDay'), lines: column('lines'), part: column('part'), supplier: column('supplier'), quantity: column('quantity'),
    discount: column('discount'), tax: column('tax'), shipDays: column('shipDays'), commitDays: column('commitDays'), receiptDays: column('receiptDays'),
  };
  const dayOf = (order: number): number => columns.orderDay.between(order, 0, lastOrderDay);
  return {
    dayOf,
    linesOf: (order) => {
      const count = columns.lines.between(order, 1, linesMax);
      return Array.from({ length: count }, (_, index) => lineOf(columns, size, { order, index, day: dayOf(order) }));
    },
  };
}

function lineOf(columns: Columns, size: TpchSize, of: { readonly order: number; readonly index: number; readonly day: number }): OrderLine {
  const position = of.order * positionsPerOrder + of.index;
  const part = columns.part.between(position, 1, size.parts);
  const quantity = columns.quantity.between(position, 1, 50);
  const shipDay = of.day + columns.shipDays.between(position, 1, 121);
  return {
    number: of.index + 1,
    position,
    part,
    supplier: partSupplier(size, part, columns.supplier.between(position, 0, suppliersPerPart - 1)),
    quantity,
    priceCents: quantity * retailPriceCents(part),
    discount: columns.discount.between(position, 0, 10),
    tax: columns.tax.between(position, 0, 8),
    shipDay,
    commitDay: of.day + columns.commitDays.between(position, 30, 90),
    receiptDay: shipDay + columns.receiptDays.between(position, 1, 30),
    status: shipDay > currentDay ? 'O' : 'F',
  };
}

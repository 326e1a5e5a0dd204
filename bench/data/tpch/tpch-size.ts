/** How many rows each table has at a scale (4.2.5 of the specification); `lineitem` has one to seven per order, four on average. */
export interface TpchSize {
  /** 1 is a gigabyte of rows. */
  readonly scale: number;
  readonly suppliers: number;
  readonly parts: number;
  readonly customers: number;
  readonly orders: number;
  readonly clerks: number;
}

/** Suppliers of one part. */
export const suppliersPerPart = 4;

/** The least scale. */
export const scaleMin = 0.001;

/** Fractions are allowed down to 0.001, which has ten suppliers. Throws a `RangeError` for less. */
export function tpchSize(scale: number): TpchSize {
  if (!(scale >= scaleMin)) throw new RangeError(`the scale must be at least ${scaleMin}, not ${scale}`);
  return {
    scale,
    suppliers: Math.round(10_000 * scale),
    parts: Math.round(200_000 * scale),
    customers: Math.round(150_000 * scale),
    orders: Math.round(1_500_000 * scale),
    clerks: Math.max(1, Math.round(1000 * scale)),
  };
}

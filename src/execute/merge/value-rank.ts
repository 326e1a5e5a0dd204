import { typeOid } from '../../sql/values/type-oid.ts';

/** A number for a value's text that never decreases as values increase; different values may share one. Never NaN. */
export type Rank = (text: string) => number;

/** Undefined for types whose values have no cheap rank. */
export function rankFor(oid: number): Rank | undefined {
  return ranks.get(oid);
}

/** Rounding to a double keeps the order. NaN sorts above infinity: it shares its rank. */
function rankNumber(text: string): number {
  const rank = Number(text);
  return Number.isNaN(rank) ? Infinity : rank;
}

const ranks: ReadonlyMap<number, Rank> = new Map([
  [typeOid.int2, Number],
  [typeOid.int4, Number],
  [typeOid.int8, Number],
  [typeOid.oid, Number],
  [typeOid.xid8, Number],
  [typeOid.numeric, rankNumber],
  [typeOid.float4, rankNumber],
  [typeOid.float8, rankNumber],
]);

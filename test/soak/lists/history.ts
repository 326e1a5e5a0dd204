/** One thing that a transaction did to a list. Values are unique over the whole history. */
export type Operation =
  | { readonly kind: 'append'; readonly key: string; readonly value: string }
  | { readonly kind: 'read'; readonly key: string; readonly list: readonly string[] };

export interface Entry {
  readonly id: string;
  readonly operations: readonly Operation[];
  readonly outcome: 'committed' | 'aborted' | 'unknown';
}

/** Lists by key when all is over. One that was never appended to may be missing. */
export type FinalLists = ReadonlyMap<string, readonly string[]>;

/** Adya's names; `lost` is an append that was acknowledged and is not there, `order` two reads of which neither is a beginning of the other. */
export type AnomalyKind = 'lost' | 'twice' | 'order' | 'G0' | 'G1a' | 'G1b' | 'G1c' | 'G-single';

export interface Anomaly {
  readonly kind: AnomalyKind;
  readonly about: string;
}

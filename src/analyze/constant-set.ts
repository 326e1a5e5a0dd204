/** Where a value comes from that is known when a statement is bound. */
export type ConstantSource =
  /** As written in the statement, without quotes; `null` is the NULL literal. */
  | { readonly kind: 'literal'; readonly text: string | null }
  /** `$number`, from 1. */
  | { readonly kind: 'parameter'; readonly number: number };

/** `current_setting(name)`, and NULL where that is `nullIf`: known where a session has set it. */
export interface SettingSource {
  readonly kind: 'setting';
  /** Lower case. */
  readonly name: string;
  readonly nullIf: string | undefined;
}

/** The values a column may have: any of `values`, or of the elements of the array parameters `arrays`. Both empty: none. */
export interface ConstantSet {
  readonly values: readonly (ConstantSource | SettingSource)[];
  readonly arrays: readonly number[];
}

export function unionSets(sets: readonly ConstantSet[]): ConstantSet {
  return { values: sets.flatMap((set) => set.values), arrays: sets.flatMap((set) => set.arrays) };
}

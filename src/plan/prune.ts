import { present } from '../base/assert.ts';
import type { ConstantSet, ConstantSource, SettingSource } from '../analyze/constant-set.ts';
import type { CatalogSnapshot, ColocationGroup, DistributedTable } from '../catalog/catalog-snapshot.ts';
import type { ColocationId } from '../catalog/ids.ts';
import type { DistributionType } from '../catalog/hash/distribution-type.ts';
import { distributionType } from '../catalog/hash/distribution-type.ts';
import { shardGroupFor } from '../catalog/shard-for-hash.ts';

/** How the values of one table's distribution column are placed. */
export interface Placer {
  readonly group: ColocationGroup;
  /** Undefined for single-shard tables: whatever the values, rows go to the first shard group. */
  readonly type: DistributionType | undefined;
  /** Type modifier of the column, for values that are assigned to it. */
  readonly modifier: number;
}

export function placerOf(table: DistributedTable, snapshot: CatalogSnapshot): Placer {
  return { ...groupPlacer(table.colocationId, snapshot), modifier: table.distributionColumn?.type.modifier ?? -1 };
}

/** How a colocation group places values of its own type. */
export function groupPlacer(colocation: ColocationId, snapshot: CatalogSnapshot): Placer {
  const group = present(snapshot.colocationGroups.get(colocation), 'colocation group');
  const { distributionType: name } = group;
  const type = name === undefined ? undefined : present(distributionType(name), `distribution type ${name}`);
  return { group, type, modifier: -1 };
}

/** Thrown by nothing: a value to be hashed by a server before binding is tried again. */
export interface UnknownHash {
  readonly type: DistributionType;
  readonly value: unknown;
}

/**
 * The ordinals of the shard groups in which rows may lie whose distribution value is in each of `sets`; `all` when nothing is known. Values
 * that are no value of the type leave all in: a server reports them, or compares them by another type's rules.
 * Values only a server can read are added to `unknown`.
 */
export function pruneOrdinals(
  sets: readonly ConstantSet[],
  { group, type }: Placer,
  values: readonly unknown[],
  unknown: UnknownHash[],
): 'all' | readonly number[] {
  if (type === undefined || group.shardGroups.length === 1) return [0];
  const only = singleParameter(sets);
  if (only !== undefined) {
    const value = values[only - 1];
    const hash = value === null || value === undefined ? undefined : type.hashOf(value, group.hash);
    if (hash !== undefined) return [shardGroupFor(group, hash).ordinal];
  }
  let result: 'all' | readonly number[] = 'all';
  for (const set of sets) {
    const ordinals = ordinalsOf(set, { group, type }, values, unknown);
    if (ordinals === 'all') continue;
    result = result === 'all' ? ordinals : result.filter((ordinal) => ordinals.includes(ordinal));
  }
  return result;
}

/** The common case, kept free of allocation: one set of one parameter. */
function singleParameter(sets: readonly ConstantSet[]): number | undefined {
  const set = sets[0];
  if (sets.length !== 1 || set === undefined || set.values.length !== 1 || set.arrays.length > 0) return undefined;
  const value = set.values[0];
  return value?.kind === 'parameter' ? value.number : undefined;
}

function ordinalsOf(
  set: ConstantSet,
  { group, type }: { readonly group: ColocationGroup; readonly type: DistributionType },
  values: readonly unknown[],
  unknown: UnknownHash[],
): 'all' | readonly number[] {
  const ordinals = new Set<number>();
  const constants = constantValues(set, values);
  if (constants === 'all') return 'all';
  for (const value of constants) {
    if (value === null || value === undefined) continue;
    const hash = type.hashOf(value, group.hash);
    if (hash === undefined) {
      if (type.canonical(value).kind === 'needs_server') unknown.push({ type, value });
      return 'all';
    }
    ordinals.add(shardGroupFor(group, hash).ordinal);
  }
  return [...ordinals].sort((a, b) => a - b);
}

/** The values of a set; `all` for an array that cannot be read here, and for a setting that nobody has looked up. */
export function constantValues(set: ConstantSet, values: readonly unknown[]): 'all' | unknown[] {
  if (set.values.some(isSetting)) return 'all';
  const constants = set.values.map((source) => (isSetting(source) ? undefined : constantValue(source, values)));
  for (const number of set.arrays) {
    const array = values[number - 1];
    if (array === null || array === undefined) continue;
    if (!Array.isArray(array) || array.some(Array.isArray)) return 'all';
    constants.push(...array);
  }
  return constants;
}

export function constantValue(source: ConstantSource, values: readonly unknown[]): unknown {
  return source.kind === 'literal' ? source.text : values[source.number - 1];
}

function isSetting(source: ConstantSource | SettingSource): source is SettingSource {
  return source.kind === 'setting';
}

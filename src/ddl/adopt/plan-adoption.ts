import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CitusMetadata, CitusNode, CitusShard, CitusTable } from './citus-metadata.ts';

/** What of Citus's tables is taken over, and how it is called here. Nodes are Citus's groups. */
export interface Adoption {
  readonly nodes: readonly CitusNode[];
  readonly colocations: readonly AdoptedColocation[];
  readonly references: readonly AdoptedReference[];
}

/** Tables whose shards lie together. */
export interface AdoptedColocation {
  /** In order of hashes; they tile all of them. */
  readonly slices: readonly { readonly min: number; readonly max: number; readonly group: number }[];
  readonly tables: readonly { readonly schema: string; readonly name: string; readonly column: string; readonly shardIds: readonly number[] }[];
}

export interface AdoptedReference {
  readonly schema: string;
  readonly name: string;
  readonly shardId: number;
}

/** `adoptionRefused`, with all the reasons, where some table is not as tables are here. Pure. */
export function planAdoption({ nodes, tables: known }: CitusMetadata): Adoption {
  // Local tables that Citus knows of are in no colocation group.
  const tables = known.filter(({ method, model, colocation }) => method !== 'n' || model === 't' || colocation !== 0);
  const hashed = tables.filter(({ method }) => method === 'h');
  const references = tables.filter(({ method, model }) => method === 'n' && model === 't');
  const others = tables.filter((table) => !hashed.includes(table) && !references.includes(table));
  const holding = new Set(hashed.flatMap(({ shards }) => shards.flatMap(({ groups }) => groups)));
  // The coordinator has copies of reference tables, which does not make it a node.
  const used = nodes.filter(({ group }) => group !== 0 || holding.has(group));
  const problems = [
    ...others.map((table) => `${nameOf(table)} is not distributed by hash.`),
    ...hashed.flatMap(problemsOf),
    ...references.flatMap((table) => problemsOfReference(table, used)),
    ...[...holding].filter((group) => !nodes.some((node) => node.group === group)).map((group) => `Node group ${group} holds shards, and has no active primary.`),
    ...(tables.length === 0 ? ['There are no distributed tables.'] : []),
  ];
  const byColocation = new Map<number, CitusTable[]>();
  for (const table of hashed) byColocation.set(table.colocation, [...(byColocation.get(table.colocation) ?? []), table]);
  for (const together of byColocation.values()) problems.push(...problemsTogether(together));
  if (problems.length > 0) throw refused(problems);
  return {
    nodes: used,
    colocations: [...byColocation.values()].map(colocationOf),
    references: references.map((table) => ({ schema: table.schema, name: table.name, shardId: at(table.shards, 0).id })),
  };
}

/** The error that names every reason. */
export function refused(reasons: readonly string[]): ClusterError {
  return new ClusterError('adoptionRefused', 'Citus\'s tables cannot be taken over', { detail: reasons.join(' '), hint: 'Nothing was changed.' });
}

function nameOf({ schema, name }: Pick<CitusTable, 'schema' | 'name'>): string {
  return `Table "${schema}.${name}"`;
}

const [int32Min, int32Max] = [-(2 ** 31), 2 ** 31 - 1];

function problemsOf(table: CitusTable): string[] {
  const problems: string[] = [];
  if (table.column === null) problems.push(`${nameOf(table)} has no distribution column.`);
  if (table.shards.some(({ groups }) => groups.length !== 1)) problems.push(`${nameOf(table)} has shards that are not on exactly one node.`);
  if (!tiles(table.shards)) problems.push(`The shards of ${nameOf(table).toLowerCase()} do not hold all hashes, each once.`);
  return problems;
}

function tiles(shards: readonly CitusShard[]): boolean {
  const ends = [int32Min - 1, ...shards.map(({ max }) => max ?? Number.NaN)];
  return shards.every(({ min, max }, i) => min === at(ends, i) + 1 && max !== null && max >= min) && ends.at(-1) === int32Max;
}

function problemsOfReference(table: CitusTable, nodes: readonly CitusNode[]): string[] {
  const [shard, ...more] = table.shards;
  if (shard === undefined || more.length > 0) return [`Reference ${nameOf(table).toLowerCase()} has not exactly one shard.`];
  const without = nodes.filter(({ group }) => !shard.groups.includes(group));
  return without.map(({ host, port }) => `Reference ${nameOf(table).toLowerCase()} has no copy on ${host}:${port}.`);
}

function problemsTogether([first, ...others]: readonly CitusTable[]): string[] {
  const placesOf = (table: CitusTable | undefined): string => JSON.stringify(table?.shards.map(({ min, max, groups }) => [min, max, groups]));
  return others.filter((table) => placesOf(table) !== placesOf(first)).map((table) => `${nameOf(table)} does not lie where "${first?.name ?? ''}" does, with which it is co-located.`);
}

function colocationOf(tables: readonly CitusTable[]): AdoptedColocation {
  return {
    slices: at(tables, 0).shards.map(({ min, max, groups }) => ({ min: min ?? int32Min, max: max ?? int32Max, group: at(groups, 0) })),
    tables: tables.map(({ schema, name, column, shards }) => ({ schema, name, column: column ?? '', shardIds: shards.map(({ id }) => id) })),
  };
}

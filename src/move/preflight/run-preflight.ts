import { at } from '../../base/assert.ts';
import type { NodeId, ShardGroupId } from '../../catalog/ids.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import type { NodePools } from '../../cluster/node-pools.ts';
import type { TableDefinition } from '../../ddl/table-definition.ts';
import type { StoredJob } from '../../store/jobs.ts';
import type { MovedGroups } from '../moved-tables.ts';
import { checkServers } from './check-servers.ts';
import { checkSource } from './check-source.ts';
import { checkTarget } from './check-target.ts';
import { sizeText } from '../../base/size-text.ts';
import type { PreflightCheck } from './preflight-check.ts';

/** The move that is thought of. */
export interface PreflightWish {
  readonly sources: readonly (PreflightGroup & { readonly expected: NodeId })[];
  readonly targets: readonly PreflightGroup[];
}

/** A shard group, as it is (of a source: where it is really, and where it was expected) or as it will be. */
interface PreflightGroup {
  readonly id: ShardGroupId;
  readonly node: NodeId;
  readonly tables: readonly PreflightTable[];
}

export interface PreflightTable {
  readonly definition: Pick<TableDefinition, 'name' | 'persistence'>;
  /** The shard, quoted and qualified. */
  readonly sql: string;
}

export function preflightWish(job: Pick<StoredJob, 'sources'>, { sources, targets }: Pick<MovedGroups, 'sources' | 'targets'>): PreflightWish {
  return { sources: sources.map((group, i) => ({ ...group, expected: at(job.sources, i).node })), targets };
}

/** All that is in the way of a move, or should be known before, and the size of what moves. Reads only. */
export async function runPreflight(pools: NodePools, wish: PreflightWish, options: CallOptions): Promise<{ readonly checks: PreflightCheck[]; readonly bytes: number }> {
  const { sources, targets } = wish;
  const places = placements(pools, wish);
  // Nothing can be asked of shards that are elsewhere.
  if (sources.some(({ node, expected }) => node !== expected)) return { checks: places, bytes: 0 };
  const ofSources = await Promise.all(perNode(sources).map(([node, tables]) => checkSource(pools.get(node), tables, options)));
  const ofTargets = await Promise.all(perNode(targets.filter((target) => !sources.some(({ id, node }) => id === target.id && node === target.node))).map(([node, tables]) => checkTarget(pools.get(node), tables, options)));
  const pairs = perNode(sources).flatMap(([source, tables]) => perNode(targets).flatMap(([target]) => (target === source ? [] : [{ source, target, tables }])));
  const ofPairs = await Promise.all(pairs.map(({ source, target, tables }) => checkServers(pools.get(source), pools.get(target), { ...options, tables })));
  const [bytes, indexBytes] = [sum(ofSources.map((of) => of.bytes)), sum(ofSources.map((of) => of.indexBytes))];
  const disk: PreflightCheck = {
    check: 'disk', ok: true, level: 'warning', node: null, message: `About ${sizeText(bytes)} are needed, ${sizeText(indexBytes)} of them for indexes`,
    hint: 'How much is free no function of the servers tells: see to it that so much is, and that the source can keep its log meanwhile.',
  };
  return { checks: [...places, ...tableKinds(sources[0]?.tables ?? []), ...ofSources.flatMap(({ checks }) => checks), ...ofTargets.flat(), ...ofPairs.flat(), disk], bytes };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function perNode(groups: readonly PreflightGroup[]): [NodeId, readonly PreflightTable[]][] {
  const nodes = new Map<NodeId, PreflightTable[]>();
  for (const { node, tables } of groups) nodes.set(node, [...(nodes.get(node) ?? []), ...tables]);
  return [...nodes];
}

function placements(pools: NodePools, { sources, targets }: PreflightWish): PreflightCheck[] {
  const common = { check: 'placement', level: 'error', node: null, hint: null } as const;
  const elsewhere = sources.filter(({ node, expected }) => node !== expected);
  const there = targets.filter((target) => sources.some(({ id, node }) => id === target.id && node === target.node));
  if (elsewhere.length > 0) return elsewhere.map(({ id, node, expected }) => ({ ...common, ok: false, message: `Shard group ${id} is on node ${node}, not on node ${expected}` }));
  if (there.length > 0) return there.map(({ node }) => ({ ...common, ok: false, message: `It is on node ${node} already` }));
  const names = (groups: readonly PreflightGroup[]): string => perNode(groups).map(([node]) => pools.get(node).name).join(' and ');
  return [{ ...common, ok: true, message: `Rows go from ${names(sources)} to ${names(targets)}` }];
}

export function tableKinds(tables: readonly PreflightTable[]): PreflightCheck[] {
  const common = { check: 'table_kind', level: 'error', node: null } as const;
  const wrong = tables.flatMap(({ definition: { name, persistence } }): PreflightCheck[] =>
    persistence === 'p' ? [] : [{ ...common, ok: false, message: `Table "${name}" is not logged, so its changes cannot be followed`, hint: 'ALTER TABLE … SET LOGGED makes it one that can be moved.' }]);
  return wrong.length > 0 ? wrong : [{ ...common, ok: true, message: `${tables.length} ${tables.length === 1 ? 'table' : 'tables'}, whose changes can be followed`, hint: null }];
}

import { sqlStateOf } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { ShardId } from '../catalog/ids.ts';
import { shardId } from '../catalog/ids.ts';
import { nameBytesMax, shardName } from '../catalog/shard-name.ts';
import { tellOfShell } from './local-references.ts';
import { tableOfShard } from './table-of-shard.ts';

const textFields = ['message', 'detail', 'hint', 'where', 'internalQuery', 'schema', 'table', 'constraint'] as const;

/**
 * Turns the names of shards, their constraints and indexes in a node's error into those of the tables. The error itself is changed and
 * returned, so that it stays the driver's own. The shard is added to `where`, and to what a shell has said a hint.
 */
export function withLogicalNames(error: unknown, snapshot: CatalogSnapshot): unknown {
  if (typeof error !== 'object' || error === null || !('message' in error)) return error;
  const shards = new Map<ShardId, CatalogTable>();
  for (const field of textFields) {
    for (const id of idsIn(Reflect.get(error, field))) {
      const table = tableOfShard(snapshot, id);
      if (table !== undefined) shards.set(id, table);
    }
  }
  for (const [id, table] of shards) replaceNames(error, id, table);
  if (shards.size === 0) tellOfShell(error, snapshot);
  const [shard] = shards.keys();
  if (shard !== undefined) {
    const where: unknown = Reflect.get(error, 'where');
    Reflect.set(error, 'where', typeof where === 'string' ? `${where}, shard ${shard}` : `shard ${shard}`);
  }
  return error;
}

/** A text in which shards, their constraints and indexes are called as the tables'. */
export function logicalText(text: string, snapshot: CatalogSnapshot): string {
  const named = { message: text };
  for (const id of new Set(idsIn(text))) {
    const table = tableOfShard(snapshot, id);
    if (table !== undefined) replaceNames(named, id, table);
  }
  return named.message;
}

/** Whether the error says that there is no such shard, or did before its names were replaced. Not of a shard that the statement's own text names. */
export function missesShard(error: unknown, snapshot: CatalogSnapshot, text: string): boolean {
  if (!(error instanceof Error) || sqlStateOf(error) !== '42P01') return false;
  const where = 'where' in error && typeof error.where === 'string' ? /\bshard (\d+)$/.exec(error.where)?.[1] : undefined;
  const missing = [...idsIn(error.message).filter((id) => tableOfShard(snapshot, id) !== undefined), ...(where === undefined ? [] : [shardId(Number(where))])];
  const named = new Set(idsIn(text));
  return missing.some((id) => !named.has(id));
}

function idsIn(text: unknown): ShardId[] {
  if (typeof text !== 'string') return [];
  return [...text.matchAll(/_(\d{6,15})(?!\d)/g)].map((match) => shardId(Number(match[1])));
}

function replaceNames(error: object, id: ShardId, table: CatalogTable): void {
  const names = [table.name, ...table.constraints, ...table.indexes.map(({ name }) => name)];
  for (const name of [...names, ...unheardOf(Reflect.get(error, 'constraint'), id, names)]) {
    const physical = shardName(name, id);
    for (const field of textFields) {
      const text: unknown = Reflect.get(error, field);
      if (typeof text === 'string' && text.includes(physical)) Reflect.set(error, field, text.replaceAll(physical, name));
    }
  }
}

/** The name of a constraint that the shard has and the catalog at hand has not yet; none if it was cut to go into the shard's, which then stays. */
function unheardOf(constraint: unknown, id: ShardId, names: readonly string[]): string[] {
  const suffix = `_${id}`;
  if (typeof constraint !== 'string' || !constraint.endsWith(suffix) || names.some((name) => shardName(name, id) === constraint)) return [];
  return Buffer.byteLength(constraint) < nameBytesMax ? [constraint.slice(0, -suffix.length)] : [];
}

import { present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import { clipUtf8 } from '../../catalog/clip-utf8.ts';
import { type NodeId, shardId } from '../../catalog/ids.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { nodeSchemaSql } from '../../store/node-schema.ts';
import { findLookup, hasLookupNamed, insertLookup, newLookupId, validateLookup } from '../../store/unique-lookups.ts';
import { type CatalogChange, changeCatalog, changeTable, resolveTable } from '../change-catalog.ts';
import { distributeMade } from '../create-distributed-table.ts';
import type { DdlContext } from '../ddl-context.ts';
import { runOnNodes } from '../on-nodes.ts';
import { readPlacements } from '../placements.ts';
import { readDefinition } from '../read-definition.ts';
import { createTrigger } from '../render-behaviour.ts';
import { onCoordinator } from '../shell.ts';
import { ShardNames } from '../shard-names.ts';
import type { TableDefinition } from '../table-definition.ts';
import { checkKeyTypes, checkLookup, type LookupColumns } from './check-lookup.ts';
import { dropUniqueLookup } from './drop-unique-lookup.ts';
import { fillLookup } from './fill-lookup.ts';
import { isLookupTrigger, lookupTriggers } from './lookup-triggers.ts';
import { lockTimeoutMs, shellLockTimeoutMs, withLockRetries } from './with-lock-retries.ts';

export interface CreateUniqueLookupOptions extends CallOptions {
  /** What errors call the constraint: `users_email_key` by default. */
  readonly name?: string | undefined;
}

/** A lookup that is written by all, and to be filled. */
export interface GrowingLookup {
  readonly id: number;
  readonly name: string;
  /** OID of the shell. */
  readonly table: number;
  readonly columns: readonly string[];
}

/**
 * Makes columns of a distributed table unique over all its shards, beside reads and writes: each write of a row from here on waits for nothing but its own lookup, and rows that are there are brought in batch by batch. When all are, the
 * lookup is read by queries, too. Where it was begun before, and its process died or was cancelled, it goes on.
 *
 * Steps: 1. The lookup is registered, its table made, and the triggers that note changes put on all shards, in one transaction. 2. Each shard's rows are brought in (`fill-lookup.ts`). 3. It is marked as valid. Rows with equal keys are
 * `duplicateKeys`, and the lookup is dropped. Other errors: `undefinedTable`, `undefinedColumn`, `notDistributed`, `unsupportedTable`, `invalidParameter`, `lockNotAvailable`, those of nodes.
 */
export async function createUniqueLookup(context: DdlContext, table: string, names: readonly string[], options: CreateUniqueLookupOptions = {}): Promise<void> {
  const lookup = await withLockRetries(options.signal, () => register(context, { table, names }, options));
  try {
    await fillLookup(context, lookup, options);
  } catch (error) {
    if (error instanceof ClusterError && error.id === 'duplicateKeys') await dropUniqueLookup(context, table, lookup.columns);
    throw error;
  }
  await changeCatalog(context, { signal: options.signal, lockFirst: () => Promise.resolve(), body: (change) => validateLookup(change, lookup.id) });
}

interface Wish {
  readonly table: string;
  readonly names: readonly string[];
}

function register(context: DdlContext, { table, names }: Wish, { name, signal }: CreateUniqueLookupOptions): Promise<GrowingLookup> {
  return changeTable(context, {
    table,
    signal,
    lockTimeoutMs: shellLockTimeoutMs,
    body: async (change, definition) => {
      const wished = checkLookup(definition, names);
      const { columns } = wished;
      const known = await findLookup(change, { table: definition.oid, columns });
      if (known?.valid === true) throw new ClusterError('invalidParameter', `table "${definition.name}" has the unique lookup "${known.name}" already`, { sqlState: '42710' });
      if (known !== undefined) return { id: known.id, name: known.name, table: definition.oid, columns };
      return make(change, definition, { ...wished, name: name ?? defaultName(definition, columns) });
    },
  });
}

/** As PostgreSQL calls a constraint without a name. */
function defaultName({ name }: TableDefinition, columns: readonly string[]): string {
  return clipUtf8(`${name}_${columns.join('_')}_key`, 63);
}

async function make(change: CatalogChange, table: TableDefinition, { name, columns, distributionColumn }: LookupColumns & { readonly name: string }): Promise<GrowingLookup> {
  await checkName(change, table, name);
  await checkKeyTypes(change, table, [...columns, distributionColumn]);
  // A node of long ago may lack the parts that this needs.
  await runOnNodes(change, new Map(change.nodes.map((node): [NodeId, string[]] => [node.id, [nodeSchemaSql]])));
  const id = await newLookupId(change);
  const lookupTable = await makeLookupTable(change, table, { id, columns, distributionColumn });
  await insertLookup(change, { id, name, table: table.oid, columns, lookupTable });
  await addTriggers(change, table, { id, columns: [...columns, distributionColumn] });
  return { id, name, table: table.oid, columns };
}

async function checkName(change: CatalogChange, table: TableDefinition, name: string): Promise<void> {
  const isTaken = [...(table.constraints ?? []), ...(table.indexes ?? [])].some((one) => one.name === name) || (await hasLookupNamed(change, { table: table.oid, name }));
  if (isTaken) throw new ClusterError('invalidParameter', `constraint "${name}" for relation "${table.name}" already exists`, { sqlState: '42710', schema: table.schema, table: table.name, constraint: name });
}

/** Everybody may write and read it on nodes, in whatever role a session acts: who writes the table writes it as well. Through the cluster nobody can name it. */
async function makeLookupTable(change: CatalogChange, table: TableDefinition, { id, columns, distributionColumn }: LookupColumns & { readonly id: number }): Promise<number> {
  const name = quoteQualified('shardwright', `unique_lookup_${id}`);
  const key = columns.map(quoteIdentifier).join(', ');
  await onCoordinator(change, `CREATE TABLE ${name} AS SELECT ${key}, ${quoteIdentifier(distributionColumn)} FROM ${quoteQualified(table.schema, table.name)} WITH NO DATA`);
  await onCoordinator(change, `ALTER TABLE ${name} ADD CONSTRAINT unique_lookup_${id}_key PRIMARY KEY (${key}), ALTER ${quoteIdentifier(distributionColumn)} SET NOT NULL`);
  await onCoordinator(change, `GRANT SELECT, INSERT, DELETE, TRUNCATE ON ${name} TO PUBLIC`);
  const { oid } = await resolveTable(change.coordinator, name, change.signal);
  await distributeMade(change, oid, { column: present(columns[0]), shardCount: present(table.distribution?.shardIds.length) });
  return oid;
}

async function addTriggers(change: CatalogChange, table: TableDefinition, lookup: Parameters<typeof lookupTriggers>[1]): Promise<void> {
  const made = lookupTriggers(table, lookup);
  for (const { create } of made) await onCoordinator(change, create);
  const definition = await readDefinition(change.coordinator, table.oid, change);
  const triggers = (definition.triggers ?? []).filter((trigger) => isLookupTrigger(trigger) && made.some(({ name }) => name === trigger.name));
  const statements = new Map<NodeId, string[]>();
  for (const { shard, node } of await readPlacements(change, table)) {
    const names = new ShardNames(definition, shardId(shard));
    statements.set(node, [...(statements.get(node) ?? [`SET LOCAL lock_timeout = ${lockTimeoutMs}`]), ...triggers.flatMap((trigger) => createTrigger(names, trigger))]);
  }
  await runOnNodes(change, statements);
}

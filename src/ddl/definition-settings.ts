import { at } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';

/**
 * Settings under which definitions are read and replayed, so that they mean the same on every server: names are qualified, constants are
 * written exactly and independently of locale.
 */
export const definitionSettings = `SET LOCAL search_path = pg_catalog; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = postgres;
SET LOCAL timezone = 'UTC'; SET LOCAL bytea_output = hex; SET LOCAL extra_float_digits = 1; SET LOCAL quote_all_identifiers = off;
SET LOCAL lc_monetary = 'C'; SET LOCAL standard_conforming_strings = on; SET LOCAL xmloption = content; SET LOCAL check_function_bodies = off;
SET LOCAL default_tablespace = ''; SET LOCAL default_table_access_method = heap; SET LOCAL client_min_messages = warning;
SET LOCAL row_security = off; SET LOCAL synchronize_seqscans = off; SET LOCAL array_nulls = on; SET LOCAL transform_null_equals = off`;

const names = [...definitionSettings.matchAll(/SET LOCAL (\w+)/g)].map(([, name = '']) => name);

/** What a session had set before, by name. */
type Saved = Readonly<Record<string, string>>;

const currentSql = `SELECT pg_catalog.json_object_agg(name, pg_catalog.current_setting(name))
  FROM pg_catalog.unnest('{${[...names, 'statement_timeout', 'lock_timeout'].join(',')}}'::pg_catalog.text[]) AS name`;

/** Runs `work` on a connection of a session's transaction under `definitionSettings`; afterwards the session's own hold again. When `work` fails, so has the transaction. */
export async function underDefinitionSettings<T>(connection: NodeConnection, options: CallOptions, work: (saved: Saved) => Promise<T>): Promise<T> {
  const results = await connection.queryEach(`${currentSql};\n${definitionSettings}`, options);
  const saved = JSON.parse(at(at(results, 0).rows, 0)[0] ?? '{}') as Saved;
  const result = await work(saved);
  await restoreSettings(connection, saved, options);
  return result;
}

/** The same on all these nodes, which join the transaction. */
export async function underNodeSettings<T>(transaction: DistributedTransaction, nodes: readonly NodeId[], { options, work }: { readonly options: CallOptions; readonly work: () => Promise<T> }): Promise<T> {
  const [node, ...others] = nodes;
  if (node === undefined) return work();
  const connection = await transaction.join(node, 'write', options);
  return underDefinitionSettings(connection, options, () => underNodeSettings(transaction, others, { options, work }));
}

async function restoreSettings(connection: NodeConnection, saved: Saved, options: CallOptions): Promise<void> {
  const text = 'SELECT pg_catalog.set_config(key, value, true) FROM pg_catalog.json_each_text($1::pg_catalog.json)';
  await connection.query({ text, values: [JSON.stringify(saved)] }, options);
}

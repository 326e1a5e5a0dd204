import { present } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import { quoteLiteral } from '../../sql/identifiers.ts';

/** The columns of a lookup and the distribution value of a row, as texts. */
export type LookupKey = readonly string[];

/** What one row's write means for a lookup. */
export interface LookupChange {
  readonly lookup: number;
  readonly gone: LookupKey | undefined;
  readonly came: LookupKey | undefined;
  /** Whether whoever has written the row may not read such keys: an error must not tell them. */
  readonly secured: boolean;
}

/** What is to be taken out of a lookup, and then put into it. */
export interface NetChange {
  readonly gone: readonly LookupKey[];
  readonly came: readonly LookupKey[];
}

/** Where a node is asked who may read keys: a shard of the table on it, as SQL names it, and the lookup's columns. */
export interface KeyOwner {
  readonly shard: string;
  readonly columns: readonly string[];
}

/**
 * Takes the changes of this transaction that its triggers have noted on a node since they were taken before; with whether keys are kept from whoever writes. `owners` has a shard on that node of each table, by the
 * lookup's id; one that has moved away meanwhile counts as secured. Where the session has `session_replication_role = replica`, so that no triggers run, there is one of lookup 0 behind them.
 */
export function takeChangesSql(owners: ReadonlyMap<number, KeyOwner>): string {
  const cases = [...owners].map(([lookup, owner]) => `WHEN ${lookup} THEN ${securedSql(owner)}`);
  const secured = cases.length === 0 ? 'false' : `CASE lookup_id ${cases.join(' ')} ELSE false END`;
  return `SELECT lookup_id, gone, came, ${secured} FROM shardwright.take_lookup_changes() UNION ALL SELECT ${unnoted}, NULL, NULL, false WHERE pg_catalog.current_setting('session_replication_role') = 'replica'`;
}

/** As PostgreSQL has it for the keys that its errors tell: where row security applies, or a role may read neither the table nor all of the key's columns, it tells none. */
function securedSql({ shard, columns }: KeyOwner): string {
  const table = `pg_catalog.to_regclass(${quoteLiteral(shard)})`;
  const reads = columns.map((column) => `pg_catalog.has_column_privilege(${table}, ${quoteLiteral(column)}, 'SELECT')`);
  return `COALESCE(pg_catalog.row_security_active(${table}) OR NOT (pg_catalog.has_table_privilege(${table}, 'SELECT') OR (${reads.join(' AND ')})), true)`;
}

/** Stands in the place of a lookup where changes may not have been noted. */
export const unnoted = 0;

export function changeOf([lookup, gone = null, came = null, secured = 'f']: RawRow): LookupChange {
  return { lookup: Number(lookup), gone: keyOf(gone), came: keyOf(came), secured: secured === 't' };
}

function keyOf(json: string | null): LookupKey | undefined {
  return json === null ? undefined : (JSON.parse(json) as LookupKey);
}

/** What a statement has changed in the end: a key that has gone as often as it came stays as it is. In order of keys, so that two transactions come to the same ones in the same order. */
export function netChange(changes: readonly Pick<LookupChange, 'gone' | 'came'>[]): NetChange {
  const counts = new Map<string, { readonly key: LookupKey; count: number }>();
  const count = (key: LookupKey | undefined, by: number): void => {
    if (key === undefined) return;
    const text = JSON.stringify(key);
    const known = counts.get(text) ?? { key, count: 0 };
    known.count += by;
    counts.set(text, known);
  };
  for (const { gone, came } of changes) {
    count(gone, -1);
    count(came, 1);
  }
  const ordered = [...counts.keys()].sort().map((text) => present(counts.get(text)));
  const repeated = (by: number) => ordered.flatMap(({ key, count: times }) => Array.from({ length: Math.max(0, times * by) }, () => key));
  return { gone: repeated(-1), came: repeated(1) };
}

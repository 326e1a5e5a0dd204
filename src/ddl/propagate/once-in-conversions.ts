import { at } from '../../base/assert.ts';
import type { Conversion, Using } from '../../plan/ddl/definition-plan.ts';
import { quoteLiteral } from '../../sql/identifiers.ts';
import type { DefinitionChange } from './definition-change.ts';

/** With the values that `now()` and its like have in the coordinator database: one for all rows, as on one PostgreSQL. Under the settings of the session. */
export async function onceInConversions(change: DefinitionChange, conversions: ReadonlyMap<string, Conversion>): Promise<ReadonlyMap<string, Conversion>> {
  const evaluated = new Map<string, Conversion>();
  for (const [column, { using }] of conversions) evaluated.set(column, { using: using === undefined || using.once.length === 0 ? using : await withValues(change, using) });
  return evaluated;
}

/** A time as JSON is written in one way, whatever the session's style. */
async function withValues({ coordinator, options }: DefinitionChange, using: Using): Promise<Using> {
  const list = using.once.map((sql) => `pg_catalog.to_json(${sql}) OPERATOR(pg_catalog.#>>) '{}', pg_catalog.pg_typeof(${sql})::pg_catalog.text`);
  const { rows } = await coordinator.query({ text: `SELECT ${list.join(', ')}` }, options);
  const row = at(rows, 0);
  const once = using.once.map((_, i) => {
    const value = row[2 * i] ?? null;
    return `CAST(${value === null ? 'NULL' : quoteLiteral(value)} AS ${row[2 * i + 1] ?? 'text'})`;
  });
  return { once, sql: (table, values) => using.sql(table, values) };
}

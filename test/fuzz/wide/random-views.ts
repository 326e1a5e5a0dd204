import { escapeLiteral } from 'pg';
import type { Queryable } from '../../oracle/outcome.ts';
import { Random } from '../../oracle/random.ts';
import type { FuzzTable } from '../fuzz-tables.ts';
import { renderSelect } from '../query-tree.ts';
import { makeViewQuery } from './make-wide.ts';

const viewCount = 5;

/** Views over the random schema's tables, later ones over earlier ones too: in schemas x and y, on both sides. Gives those that PostgreSQL accepts. */
export async function installViews(databases: readonly Queryable[], { seed, tables }: { readonly seed: number; readonly tables: readonly FuzzTable[] }): Promise<FuzzTable[]> {
  const random = new Random(seed * 7 + 3);
  const views: FuzzTable[] = [];
  for (let i = 0; i < viewCount; i += 1) {
    const name = `x.v${i}`;
    const select = makeViewQuery(random, [...tables, ...views]);
    const text = `CREATE VIEW ${name}${random.chance(0.3) ? ' WITH (security_barrier)' : ''} AS ${inlined(renderSelect(select))}`;
    const outcomes = await Promise.all(databases.map((database) => createIn(database, text)));
    if (outcomes.every((failure) => failure === undefined)) {
      views.push({ name, group: 'view', key: 'c0', columns: Object.fromEntries(select.items.map(({ type }, column) => [`c${column}`, type])), complete: true, isView: true });
    } else if (outcomes.some((failure) => failure === undefined)) throw new Error(`one side refuses ${text}: ${outcomes.join(' / ')}`);
  }
  return views;
}

async function createIn(database: Queryable, text: string): Promise<string | undefined> {
  try {
    await database.query(text);
    await database.query(otherwise(text));
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** Parameters cannot stand in a view. */
function inlined({ sql, values }: { readonly sql: string; readonly values: readonly unknown[] }): string {
  return sql.replaceAll(/\$(\d+)/gu, (_, number: string) => escapeLiteral(String(values[Number(number) - 1])));
}

/** The random schema's tables and views again, in the other schema. */
export function otherwise(sql: string): string {
  return sql.replaceAll(/\bx\.(?=[rv]\d|"r )/gu, 'y.');
}

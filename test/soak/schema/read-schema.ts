import { present } from '../../../src/base/assert.ts';
import type { Client } from 'pg';

export interface ColumnState {
  readonly name: string;
  readonly type: string;
  readonly hasDefault: boolean;
  readonly isNullable: boolean;
  readonly isGenerated: boolean;
}

export interface TableState {
  readonly schema: string;
  readonly name: string;
  readonly isPartition: boolean;
  readonly columns: readonly ColumnState[];
  /** That belong to no constraint. */
  readonly indexes: readonly string[];
  readonly constraints: readonly { readonly name: string; readonly kind: string; readonly isValid: boolean }[];
  readonly triggers: readonly { readonly name: string; readonly isEnabled: boolean }[];
  readonly policies: readonly string[];
}

export interface SchemaState {
  readonly tables: readonly TableState[];
  readonly views: readonly string[];
  readonly moods: number;
}

/** What one PostgreSQL has, from which the next change is made. */
export async function readSchema(plain: Client): Promise<SchemaState> {
  const { rows } = await plain.query<{ state: SchemaState }>(stateQuery);
  return present(rows[0]).state;
}

const list = (query: string): string => `coalesce((SELECT json_agg(x ORDER BY x.name) FROM (${query}) x), '[]')`;

const stateQuery = `SELECT json_build_object(
  'tables', ${list(`SELECT nspname AS schema, relname AS name, relispartition AS "isPartition",
    ${list(`SELECT attname AS name, format_type(atttypid, NULL) AS type, atthasdef OR attidentity <> '' AS "hasDefault", NOT attnotnull AS "isNullable", attgenerated <> '' AS "isGenerated" FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped`)} AS columns,
    (SELECT coalesce(json_agg(i.relname ORDER BY i.relname), '[]') FROM pg_index JOIN pg_class i ON i.oid = indexrelid WHERE indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) AND NOT i.relispartition) AS indexes,
    ${list(`SELECT conname AS name, contype AS kind, convalidated AS "isValid" FROM pg_constraint WHERE conrelid = c.oid AND contype IN ('c', 'f', 'u')`)} AS constraints,
    ${list(`SELECT tgname AS name, tgenabled <> 'D' AS "isEnabled" FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal`)} AS triggers,
    (SELECT coalesce(json_agg(polname), '[]') FROM pg_policy WHERE polrelid = c.oid) AS policies
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p') AND nspname IN ('public', 'other', 'tenant_s')`)},
  'views', (SELECT coalesce(json_agg(relname ORDER BY relname), '[]') FROM pg_class WHERE relkind = 'v' AND relnamespace::regnamespace::text IN ('public', 'other', 'tenant_s')),
  'moods', (SELECT count(*)::int FROM pg_enum WHERE enumtypid = 'mood'::regtype)) AS state`;

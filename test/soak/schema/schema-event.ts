import type { AppTable } from './schema-tables.ts';

/** What an application process tells, a line each. */
export type SchemaEvent =
  | { readonly kind: 'done'; readonly deed: string }
  | { readonly kind: 'failed'; readonly deed: string; readonly table: AppTable; readonly code: string; readonly id: string; readonly message: string; readonly where: string }
  | { readonly kind: 'objection'; readonly about: string };

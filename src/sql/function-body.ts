import { parsePlPgSQLSync } from 'libpg-query';
import { nameParts, walk } from './ast.ts';
import { parseStatements } from './parse.ts';

/** What the body of a function names. */
export interface BodyNames {
  /** Tables, views and types, as written: in lower case unless quoted. */
  readonly relations: readonly { readonly schema: string | undefined; readonly name: string }[];
  /** Functions without their schemas. */
  readonly functions: readonly string[];
  /** Names of columns and variables, the last part of each. */
  readonly columns: readonly string[];
  /** Kinds of its statements as the parser calls them: `InsertStmt`. */
  readonly statements: readonly string[];
  /** Whether it runs texts that it makes (EXECUTE). */
  readonly isDynamic: boolean;
}

/** Undefined for a language that we cannot read, and for a body that the parser does not accept. `definition` is the whole CREATE FUNCTION. */
export function bodyNames({ language, source, definition }: { readonly language: string; readonly source: string; readonly definition: string | null }): BodyNames | undefined {
  try {
    if (language === 'sql') return namesIn([sqlBody(source.trim())]);
    if (language === 'plpgsql' && definition !== null) return plpgsqlNames(definition);
  } catch {
    return undefined;
  }
  return undefined;
}

/** A body in the standard's form as plain statements. */
function sqlBody(source: string): string {
  const block = /^BEGIN ATOMIC\s(.*)\sEND;?$/is.exec(source)?.[1];
  return (block ?? source).replace(/^RETURN\s/i, 'SELECT ');
}

function plpgsqlNames(definition: string): BodyNames {
  const queries: string[] = [];
  const types: string[] = [];
  let isDynamic = false;
  visitObjects(parsePlPgSQLSync(definition), (key, value) => {
    if (key.startsWith('PLpgSQL_stmt_dyn') || key === 'dynquery') isDynamic = true;
    if (key === 'PLpgSQL_expr' && 'query' in value && typeof value.query === 'string') queries.push(asStatement(value.query, 'parseMode' in value ? value.parseMode : 0));
    if (key === 'PLpgSQL_type' && 'typname' in value && typeof value.typname === 'string') types.push(value.typname);
  });
  const names = namesIn(queries);
  return { ...names, relations: [...names.relations, ...types.map(relationOfType)], isDynamic };
}

/** Modes of PL/pgSQL's own parser: 0 a statement, 2 an expression, above that an assignment. */
function asStatement(text: string, mode: unknown): string {
  if (mode === 2) return `SELECT ${text}`;
  return typeof mode === 'number' && mode > 2 ? `SELECT ${text.replace(/^[^=]*?:?=/, '')}` : text;
}

/** `orders%rowtype`, `public.orders.total%type`. */
function relationOfType(type: string): BodyNames['relations'][number] {
  const isColumn = /%type$/i.test(type);
  const parts = type.replace(/%\w+$/, '').split('.');
  const named = isColumn && parts.length > 1 ? parts.slice(0, -1) : parts;
  return { schema: named.at(-2), name: named.at(-1) ?? '' };
}

function namesIn(texts: readonly string[]): BodyNames {
  const relations: { schema: string | undefined; name: string }[] = [];
  const functions: string[] = [];
  const columns: string[] = [];
  const statements: string[] = [];
  for (const { node } of texts.flatMap((text) => parseStatements(text))) {
    statements.push(...Object.keys(node));
    const parts: string[] = [];
    walk(node, (kind, body) => {
      if (kind === 'CommonTableExpr' && 'ctename' in body) parts.push(String(body.ctename));
      return undefined;
    });
    walk(node, (kind, body) => {
      if (kind === 'RangeVar' && 'relname' in body) {
        const schema = 'schemaname' in body ? String(body.schemaname) : undefined;
        if (schema !== undefined || !parts.includes(String(body.relname))) relations.push({ schema, name: String(body.relname) });
      }
      if (kind === 'FuncCall' && 'funcname' in body) functions.push(nameParts(body.funcname as Parameters<typeof nameParts>[0]).at(-1) ?? '');
      if (kind === 'ColumnRef' && 'fields' in body) columns.push(nameParts(body.fields as Parameters<typeof nameParts>[0]).at(-1) ?? '');
      return undefined;
    });
  }
  return { relations, functions, columns, statements, isDynamic: false };
}

function visitObjects(tree: unknown, visit: (key: string, value: object) => void): void {
  if (typeof tree !== 'object' || tree === null) return;
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(tree)) visit(key, value);
    else if (key === 'dynquery') visit(key, {});
    visitObjects(value, visit);
  }
}

import { assert } from '../base/assert.ts';
import { walk } from './ast.ts';
import { quoteIdentifier } from './identifiers.ts';
import { parseOne } from './parse.ts';

interface Cut {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * `statement` with another table in place of `from` wherever it stands for the whole row (`from.*`), which is the only way in which the
 * expressions of a definition name their table.
 */
export function renameWholeRows(statement: string, from: string, to: string): string {
  return statement.includes('.*') ? renameQualifier(statement, from, to) : statement;
}

/** The same wherever it stands before a column. */
export function renameQualifier(statement: string, from: string, to: string): string {
  const { node, source, text } = parseOne(statement);
  const cuts: Cut[] = [];
  walk(node, (kind, body) => {
    if (kind !== 'ColumnRef' || !('location' in body) || typeof body.location !== 'number' || firstField(body) !== from) return undefined;
    const start = source.index(body.location);
    cuts.push({ start, end: identifierEnd(text, start), text: quoteIdentifier(to) });
    return undefined;
  });
  return splice(text, cuts);
}

/** `definition`, the FOREIGN KEY of an ADD CONSTRAINT, with another referenced table. `from` is the old one as it is written there. */
export function retargetForeignKey(definition: string, from: string, to: string): string {
  const head = 'ALTER TABLE t ADD ';
  const { node, source, text } = parseOne(head + definition);
  let start = -1;
  walk(node, (kind, body) => {
    const table = kind === 'Constraint' && 'pktable' in body ? body.pktable : undefined;
    if (typeof table === 'object' && table !== null && 'location' in table && typeof table.location === 'number') {
      start = source.index(table.location);
    }
    return undefined;
  });
  assert(start > 0 && text.startsWith(from, start), `unexpected foreign key ${definition}`);
  return splice(text, [{ start, end: start + from.length, text: to }]).slice(head.length);
}

/**
 * `statement` with other relations in the place of those that `replacement` gives one for, as SQL. Where such a one had no alias, it takes the old name as alias, so that
 * columns can still be named by it; `bare` ones, which cannot have an alias, do not.
 */
export function replaceRelations(statement: string, replacement: (schema: string | undefined, name: string) => { readonly sql: string; readonly bare?: boolean } | undefined): string {
  const { node, source, text } = parseOne(statement);
  const cuts: Cut[] = [];
  walkRangeVars(node, ({ schemaname, relname, location, alias }) => {
    const found = replacement(schemaname, relname);
    if (found === undefined) return;
    const start = source.index(location);
    const first = identifierEnd(text, start);
    const end = schemaname === undefined ? first : identifierEnd(text, first + 1);
    cuts.push({ start, end, text: found.bare === true || alias !== undefined ? found.sql : `${found.sql} AS ${quoteIdentifier(relname)}` });
  });
  return splice(text, cuts);
}

interface WrittenRelation {
  readonly schemaname?: string;
  readonly relname: string;
  readonly location: number;
  readonly alias?: unknown;
}

/** By shape: the parser leaves out a node's kind where a field can only be a relation. */
function walkRangeVars(tree: unknown, visit: (relation: WrittenRelation) => void): void {
  if (typeof tree !== 'object' || tree === null) return;
  if ('relname' in tree && 'relpersistence' in tree && 'location' in tree) visit(tree as unknown as WrittenRelation);
  for (const value of Object.values(tree)) walkRangeVars(value, visit);
}

function firstField(body: object): string | undefined {
  if (!('fields' in body) || !Array.isArray(body.fields) || body.fields.length < 2) return undefined;
  const first: unknown = body.fields[0];
  if (typeof first !== 'object' || first === null || !('String' in first)) return undefined;
  const { String: name } = first;
  return typeof name === 'object' && name !== null && 'sval' in name && typeof name.sval === 'string' ? name.sval : undefined;
}

/** The end of the identifier, quoted or not, that starts at `start`. */
function identifierEnd(text: string, start: number): number {
  const pattern = /"(?:[^"]|"")*"|[^\s.()"]+/y;
  pattern.lastIndex = start;
  return start + (pattern.exec(text)?.[0].length ?? 0);
}

function splice(text: string, cuts: readonly Cut[]): string {
  let result = '';
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a.start - b.start)) {
    result += text.slice(from, cut.start) + cut.text;
    from = cut.end;
  }
  return result + text.slice(from);
}

import type { InsertStmt, OnConflictClause } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { at } from '../../base/assert.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens } from '../../sql/scan.ts';

/** An INSERT as shards get it, and the lookups whose keys, where they are taken, leave a row out. */
export interface SkippingInsert {
  readonly statement: Statement;
  readonly lookups: readonly UniqueLookup[];
}

/** Of INSERT … VALUES … ON CONFLICT DO NOTHING that means a unique lookup, alone or with the shards' own constraints; undefined for any other. What means a lookup alone is cut out of the text. */
export function skippingInsert(statement: Statement, names: RelationNames): SkippingInsert | undefined {
  const { node } = statement;
  if (!('InsertStmt' in node) || names.snapshot.lookups.length === 0) return undefined;
  const { relation, onConflictClause: conflict, withClause, selectStmt } = node.InsertStmt;
  if (relation === undefined || conflict?.action !== 'ONCONFLICT_NOTHING' || withClause !== undefined || !isValues(selectStmt)) return undefined;
  const table = names.resolve(relation.schemaname, relation.relname ?? '');
  const own = table === undefined ? [] : names.snapshot.lookups.filter((lookup) => lookup.table === table.oid);
  if (conflict.infer === undefined) return own.length === 0 ? undefined : { statement, lookups: own };
  const meant = lookupMeant(conflict, own);
  return meant === undefined || conflict.infer.whereClause !== undefined ? undefined : { statement: withoutConflict(statement), lookups: [meant] };
}

/** The lookup that ON CONFLICT names by its columns, in any order, or by its name. */
export function lookupMeant({ infer }: OnConflictClause, lookups: readonly UniqueLookup[]): UniqueLookup | undefined {
  if (infer === undefined) return undefined;
  const columns = (infer.indexElems ?? []).map((element) => ('IndexElem' in element ? (element.IndexElem.name ?? '') : ''));
  return lookups.find(({ name, columns: keys }) => infer.conname === name || (keys.length === columns.length && keys.every((key) => columns.includes(key))));
}

function isValues(select: InsertStmt['selectStmt']): boolean {
  return select !== undefined && 'SelectStmt' in select && select.SelectStmt.valuesLists !== undefined;
}

/** Without ON CONFLICT … DO NOTHING, which stands outside of all parentheses. */
function withoutConflict({ text }: Statement): Statement {
  const tokens = scanTokens(text);
  const word = (i: number): string | undefined => tokens[i]?.text.toUpperCase();
  let from = 0;
  while (word(from) !== 'ON' || word(from + 1) !== 'CONFLICT') from = word(from) === '(' ? afterGroup(tokens, from) : from + 1;
  let to = from;
  while (word(to) !== 'DO' || word(to + 1) !== 'NOTHING') to = word(to) === '(' ? afterGroup(tokens, to) : to + 1;
  return parseOne(`${text.slice(0, at(tokens, from).start)}${text.slice(at(tokens, to + 1).end)}`);
}

import type { Statement } from '../../sql/parse.ts';
import { parseOne } from '../../sql/parse.ts';
import { applyEdits, fillTemplate } from '../../sql/template.ts';
import { NameCutter } from '../name-cutter.ts';

/**
 * The statement with every parameter cast to the type that the server gave it, in the caller's own text. Its parts, run by themselves, then mean
 * the same.
 */
export function typedStatement(statement: Statement, types: readonly string[]): Statement {
  const places = new NameCutter(statement).parameterPlaces();
  if (places.length === 0) return statement;
  const edits = places.map(({ start, end, number }) => ({ start, end, parts: [`(CAST($${number} AS ${types[number - 1] ?? 'text'}))`] }));
  return parseOne(fillTemplate(applyEdits<never>(statement.text, edits), () => ''));
}

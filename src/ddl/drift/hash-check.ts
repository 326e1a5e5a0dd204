import { nameParts, walk } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne } from '../../sql/parse.ts';
import { hashCheck, type ShardWish } from '../render-shard.ts';
import { hashConstraint, type ShardNames } from '../shard-names.ts';
import type { TableDefinition } from '../table-definition.ts';
import type { PartDifference } from './part.ts';

type Hash = NonNullable<ShardWish['hash']>;

/** How the shard's hash constraint differs from what it should be; undefined when it does not. The server writes it in other words than we do. */
export function compareHashCheck(names: ShardNames, shard: TableDefinition, hash: Hash): PartDifference | undefined {
  const name = names.part(hashConstraint);
  const found = shard.constraints?.find((constraint) => quoteIdentifier(constraint.name) === name);
  if (found !== undefined && isSame(found.sql, hash)) return undefined;
  const sql = hashCheck(hash);
  const add = `ALTER TABLE ${names.sql} ADD CONSTRAINT ${name} ${sql}`;
  const repair = found === undefined ? [add] : [`ALTER TABLE ${names.sql} DROP CONSTRAINT ${name}`, add];
  return { what: 'hash constraint', expected: sql, found: found?.sql, repair };
}

const bound = String.raw`(-?\d+|'-\d+'::integer)`;
const pattern = new RegExp(String.raw`^CHECK \(\(\((.+) >= ${bound}\) AND \(\1 <= ${bound}\)\)\)$`, 's');

function isSame(definition: string, { sql, range }: Hash): boolean {
  const [, expression, min, max] = pattern.exec(definition) ?? [];
  if (expression === undefined || numberOf(min) !== range.min || numberOf(max) !== range.max) return false;
  return namesIn(expression) === namesIn(sql);
}

function numberOf(written = ''): number {
  return Number(written.replace(/^'|'::integer$/g, ''));
}

/** The functions that an expression calls and the columns that it names. */
function namesIn(expression: string): string {
  const names: string[] = [];
  walk(parseOne(`SELECT ${expression}`).node, (kind, body) => {
    if (kind === 'FuncCall' && 'funcname' in body) names.push(`${nameParts(body.funcname as never).at(-1)}()`);
    if (kind === 'ColumnRef' && 'fields' in body) names.push(nameParts(body.fields as never).join('.'));
    return undefined;
  });
  return names.sort().join();
}

import type { Node, SelectStmt } from '@pgsql/types';
import type { RelationNames } from '../analyze/relation-names.ts';
import { at } from '../base/assert.ts';
import { sameTree } from '../sql/ast.ts';
import { parseOne, type Statement } from '../sql/parse.ts';
import { scanTokens, tokenAt, type Token } from '../sql/scan.ts';
import { readsDistributed } from './ddl/reads-distributed.ts';
import { isInDistributedSchema } from './ddl/schema-tables.ts';
import { unsupported } from './select/unsupported.ts';

/** SELECT … INTO of distributed or reference tables, or into a distributed schema, as the CREATE TABLE … AS that means the same. Undefined for any other statement. */
export function selectIntoAsCreate(statement: Statement, names: RelationNames): Statement | undefined {
  const { node } = statement;
  const table = 'SelectStmt' in node ? intoOf(node.SelectStmt)?.rel : undefined;
  if (table === undefined || (!readsDistributed(node, names) && !isInDistributedSchema(table, names))) return undefined;
  const { text, source } = statement;
  const tokens = scanTokens(text);
  const name = tokenAt(tokens, source.index(table.location ?? 0));
  const into = intoBefore(tokens, name);
  const { end } = at(tokens, name + (table.schemaname === undefined ? 0 : 2));
  const words = text.slice(at(tokens, into).end, end);
  const create = parseOne(`CREATE ${/\btable\b/i.test(text.slice(at(tokens, into).end, at(tokens, name).start)) ? words : withTable(words, text.slice(at(tokens, name).start, end))} AS ${text.slice(0, at(tokens, into).start)}${text.slice(end)}`);
  if (!('CreateTableAsStmt' in create.node) || !sameTree(create.node.CreateTableAsStmt.query, withoutInto(node))) throw unsupported('The INTO of this query cannot be told from what stands around it.', 'Write CREATE TABLE … AS.');
  return create;
}

/** INTO [TEMP | UNLOGGED …] [TABLE] name */
function intoBefore(tokens: readonly Token[], name: number): number {
  let place = name - 1;
  while (at(tokens, place).text.toUpperCase() !== 'INTO') place -= 1;
  return place;
}

function withTable(words: string, name: string): string {
  return `${words.slice(0, words.length - name.length)} TABLE ${name}`;
}

function withoutInto(node: Node): Node {
  return 'SelectStmt' in node ? { SelectStmt: bare(node.SelectStmt) } : node;
}

/** Of a set operation the first query has it. */
function intoOf({ intoClause, larg }: SelectStmt): SelectStmt['intoClause'] {
  return intoClause ?? (larg === undefined ? undefined : intoOf(larg));
}

function bare({ intoClause: _into, larg, ...select }: SelectStmt): SelectStmt {
  return larg === undefined ? select : { ...select, larg: bare(larg) };
}

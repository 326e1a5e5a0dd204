import type { DropStmt } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { Statement } from '../../sql/parse.ts';
import { scanTokens } from '../../sql/scan.ts';
import type { ConcurrentIndexPlan } from './maintenance-plan.ts';
import { dottedName, nameOfParts, tableNamed, writtenName } from './named-objects.ts';

/** CREATE INDEX CONCURRENTLY on a distributed or reference table, and DROP INDEX CONCURRENTLY of its index. */
export function planConcurrentIndex(statement: Statement, names: RelationNames): ConcurrentIndexPlan | undefined {
  const { node } = statement;
  const index = 'IndexStmt' in node ? node.IndexStmt : undefined;
  if (index?.concurrent === true && index.relation !== undefined) return planned(statement, 'CREATE', { table: tableNamed(names, writtenName(index.relation)), index: index.idxname });
  const drop = 'DropStmt' in node && node.DropStmt.removeType === 'OBJECT_INDEX' && node.DropStmt.concurrent === true ? node.DropStmt : undefined;
  if (drop === undefined) return undefined;
  const dropped = (drop.objects ?? []).map((object) => nameOfParts(dottedName(object) ?? []));
  const tables = dropped.map((name) => tableNamed(names, name));
  if (tables.some((table) => table !== undefined)) refuseMore(drop);
  return planned(statement, 'DROP', { table: tables[0], index: dropped[0]?.name });
}

/** As PostgreSQL does. */
function refuseMore({ objects = [], behavior }: DropStmt): void {
  const what = objects.length > 1 ? 'dropping multiple objects' : behavior === 'DROP_CASCADE' ? 'CASCADE' : undefined;
  if (what !== undefined) throw new ClusterError('unsupportedDdl', `DROP INDEX CONCURRENTLY does not support ${what}`, { hint: 'Drop each index by a statement of its own, without CASCADE.' });
}

type Target = Pick<ConcurrentIndexPlan, 'index'> & { readonly table: ConcurrentIndexPlan['table'] | undefined };

function planned({ text }: Statement, command: ConcurrentIndexPlan['command'], { table, index }: Target): ConcurrentIndexPlan | undefined {
  if (table === undefined) return undefined;
  if (table.partitioned) throw new ClusterError('unsupportedDdl', command === 'CREATE' ? `cannot create index on partitioned table "${table.name}" concurrently` : `cannot drop partitioned index "${index ?? ''}" concurrently`);
  const tokens = scanTokens(text);
  const { start, end } = at(tokens, tokens.findIndex((token) => token.text.toUpperCase() === 'CONCURRENTLY'));
  return { kind: 'concurrent_index', command, text: text.slice(0, start) + text.slice(end), written: text, table, index };
}

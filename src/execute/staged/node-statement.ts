import type { ResultTable } from '../../analyze/result-table.ts';
import { present } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeQuery } from '../../cluster/node-connection.ts';
import { partialValues } from '../../plan/bind.ts';
import type { Filling, ShardTemplate } from '../../plan/shard-template.ts';
import { fillShardTemplate } from '../../plan/shard-template.ts';
import type { SteadyScope } from '../statement-scope.ts';
import { arraysOf, arraysSql } from '../typed-rows.ts';
import { cursorRows } from './cursor-rows.ts';
import type { HeldResults } from './held-result.ts';
import { HeldTable } from './hold-rows.ts';

export interface NodeStatementInput {
  readonly template: ShardTemplate;
  /** The caller's values, by their numbers. */
  readonly values: readonly unknown[];
  readonly node: NodeId;
  readonly shard: Filling['shard'];
  readonly constraint?: Filling['constraint'];
}

/** A statement for one server: shards by name, intermediate results as they are held. Brings a result there that is needed and not there yet. */
export async function nodeStatement(scope: SteadyScope, results: HeldResults, { template, values, node, shard, constraint }: NodeStatementInput): Promise<NodeQuery> {
  for (const result of resultsIn(template)) await bring(scope, { results, result, node });
  const sent: unknown[] = [...partialValues(template, values)];
  const relations = new Map<ResultTable, string>();
  const relation = (result: ResultTable): string => {
    const known = relations.get(result);
    if (known !== undefined) return known;
    const held = present(results.get(result), 'intermediate result');
    if (held.kind === 'table' || held.kind === 'table_by_node') return `pg_temp.${held.name}`;
    const rows = held.kind === 'rows' ? held.rows : (held.rows.get(node) ?? []);
    const sql = arraysSql(result.columns, { first: sent.length + 1, rows: rows.length });
    sent.push(...arraysOf(result.columns, rows));
    relations.set(result, sql);
    return sql;
  };
  return { text: fillShardTemplate(template, { node, shard, ...(constraint === undefined ? {} : { constraint }), result: relation }), values: sent };
}

export function resultsIn({ template }: ShardTemplate): Set<ResultTable> {
  return new Set(template.parts.flatMap((part) => (typeof part === 'object' && part.kind === 'result' ? [part.result] : [])));
}

interface Bringing {
  readonly results: HeldResults;
  readonly result: ResultTable;
  readonly node: NodeId;
}

async function bring(scope: SteadyScope, { results, result, node }: Bringing): Promise<void> {
  const held = present(results.get(result), 'intermediate result');
  if (held.kind !== 'table') return;
  let coming = held.holders.get(node);
  if (coming === undefined) {
    const [holder] = held.holders.keys();
    coming = copied(scope, { name: held.name, result, from: present(holder, 'holder'), node });
    held.holders.set(node, coming);
  }
  await coming;
}

interface Copying {
  readonly name: string;
  readonly result: ResultTable;
  readonly from: NodeId;
  readonly node: NodeId;
}

async function copied(scope: SteadyScope, { name, result, from, node }: Copying): Promise<void> {
  const holder = await scope.join(from);
  const table = await HeldTable.create(scope, { ...result, targets: [node] }, name);
  for await (const batch of cursorRows(holder, { text: `SELECT * FROM pg_temp.${name}` }, { name: scope.uniqueName(), signal: scope.signal })) await table.append(batch);
  await table.finish();
}

import type { QueryResult } from 'pg';
import { ClusterError } from '../base/errors.ts';
import { ResultTooLong } from '../base/result-too-long.ts';
import { makeQueryResult } from '../cluster/query-result.ts';
import { fieldsOf } from '../execute/fields.ts';
import { memoryBytesMax } from '../execute/staged/hold-rows.ts';
import type { ResultOptions, StatementScope } from '../execute/statement-scope.ts';
import type { InsertPlan } from '../plan/insert/insert-plan.ts';
import type { QueriedInsertPlan } from '../plan/statement-plan.ts';
import { asTexts } from './insert-or-update.ts';
import { placesFrom, together, withRows, withSavepoints } from './insert-parts.ts';
import { type UpsertMemory, upsertMemory } from './upserting.ts';

export interface Queried {
  readonly plan: QueriedInsertPlan;
  readonly values: readonly unknown[];
  readonly result: ResultOptions;
  /** What the query may give, in bytes of text. */
  readonly bytesMax: number;
  read(values: readonly unknown[], scope: StatementScope, how: ResultOptions): Promise<QueryResult>;
  write(plan: InsertPlan, values: readonly unknown[], where: { readonly scope: StatementScope; readonly memory: UpsertMemory }): Promise<QueryResult>;
}

/**
 * INSERT … SELECT … ON CONFLICT that may mean a unique lookup, in one transaction: all rows of the query are read, before the first is written, and then written in their order. So of rows with the same key DO NOTHING keeps the
 * first, and DO UPDATE fails at the second. Errors: `resultTooLarge`, and those of `insertOrUpdate`.
 */
export function insertQueried(queried: Queried, scope: StatementScope): Promise<QueryResult> {
  const { plan, values, result } = queried;
  return withSavepoints(scope, async (own) => {
    const rows = await readRows(queried, own);
    const memory = upsertMemory();
    const none = makeQueryResult({ command: 'INSERT', rowCount: 0, fields: fieldsOf(plan.returned), rows: [], ...result });
    const { plan: insert, numbers } = plan.insert;
    let done = none;
    for (let from = 0; from < rows.length; from += insert.rows.length) {
      const part = rows.slice(from, from + insert.rows.length);
      const given = numbers.map((number) => (number <= plan.parameters ? values[number - 1] : valueAt(part, plan, number)));
      const partial = part.length === insert.rows.length ? insert : withRows(insert, placesFrom(0, part.length));
      done = together(done, await queried.write(partial, given, { scope: own, memory }));
    }
    return done;
  });
}

type TextRow = readonly (string | null)[];

/** NULL for rows that are not there. */
function valueAt(rows: readonly TextRow[], { parameters, width }: QueriedInsertPlan, number: number): string | null {
  const place = number - parameters - 1;
  return rows[Math.floor(place / width)]?.[place % width] ?? null;
}

async function readRows(queried: Queried, scope: StatementScope): Promise<readonly TextRow[]> {
  const { plan: { source }, values, bytesMax } = queried;
  const limit = Math.min(bytesMax, memoryBytesMax);
  try {
    const { rows } = await queried.read(source.numbers.map((number) => values[number - 1]), scope, { ...asTexts, wholeBytesMax: limit });
    return rows as TextRow[];
  } catch (error) {
    if (!(error instanceof ResultTooLong)) throw error;
    throw new ClusterError('resultTooLarge', 'the rows of an INSERT whose ON CONFLICT means a unique lookup are too large', {
      detail: `They exceed ${limit} bytes, the most that is held of them.`, hint: 'Insert them in several statements, each with a part of the query.', cause: error,
    });
  }
}

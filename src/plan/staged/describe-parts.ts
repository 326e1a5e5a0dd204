import type { RangeVar } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import type { ResultTable } from '../../analyze/result-table.ts';
import { resultSchema } from '../../analyze/result-table.ts';
import { closeParameterGaps } from '../../sql/parameters.ts';
import { parseOne } from '../../sql/parse.ts';
import { applyEdits, fillTemplate } from '../../sql/template.ts';
import type { Describe, StatementDescription } from '../describe.ts';
import { NameCutter } from '../name-cutter.ts';

/** Describes parts of a statement: intermediate results give way to relations that the coordinator database knows, and parameters may be missing. */
export function describeParts(describe: Describe, results: ReadonlyMap<string, ResultTable>): Describe {
  const described = async (sql: string, ask: (text: string) => Promise<StatementDescription>): Promise<StatementDescription> => {
    const { text, numbers } = closeParameterGaps(withStandIns(sql, results));
    const { columns, parameterTypes } = await ask(text);
    const types = Array.from({ length: Math.max(0, ...numbers) }, (_, i) => parameterTypes[numbers.indexOf(i + 1)] ?? 'text');
    return { columns, parameterTypes: types };
  };
  return {
    functions: (names) => describe.functions(names),
    relations: (names) => describe.relations(names),
    statement: (sql, options) => described(sql, (text) => describe.statement(text, options)),
    attempt: (sql) => described(sql, (text) => describe.attempt(text)),
  };
}

function withStandIns(sql: string, results: ReadonlyMap<string, ResultTable>): string {
  if (results.size === 0 || !sql.includes(resultSchema)) return sql;
  const statement = parseOne(sql);
  const cutter = new NameCutter(statement);
  const edits = namedRelations(statement.node).flatMap((rangeVar) => {
    const result = resultOf(rangeVar, results);
    return result === undefined ? [] : [cutter.relationEdit<never>(rangeVar, result.standIn)];
  });
  return fillTemplate(applyEdits<never>(sql, edits), () => '');
}

function resultOf({ schemaname, relname }: RangeVar, results: ReadonlyMap<string, ResultTable>): ResultTable | undefined {
  return schemaname === resultSchema ? results.get(relname ?? '') : undefined;
}

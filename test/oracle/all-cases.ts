import { badInputCases } from './cases/bad-input.ts';
import { columnCases, expressionCases } from './cases/expressions.ts';
import { firstValueCases } from './cases/first-values.ts';
import { aggregateCases, groupingCases } from './cases/grouping.ts';
import { pushdownCases } from './cases/pushdown.ts';
import { routerCases } from './cases/router.ts';
import { sessionCases } from './cases/sessions.ts';
import { sortingByTypeCases, sortingCases } from './cases/sorting.ts';
import { unusualCases } from './cases/unusual.ts';
import { distributionValueCases, parameterCases } from './cases/values.ts';
import { farWriteCases } from './cases/far-writes.ts';
import { routerWriteCases } from './cases/router-writes.ts';
import { transactionCases, writeCases } from './cases/writes.ts';
import type { OracleCase, WriteCase } from './oracle-case.ts';

/** All statements by section; each section is one test of a cell. */
export const readSections: Readonly<Record<string, readonly OracleCase[]>> = {
  router: routerCases,
  pushdown: pushdownCases,
  aggregates: aggregateCases,
  grouping: groupingCases,
  'first values': firstValueCases,
  unusual: unusualCases,
  sorting: sortingCases,
  'sorting by type': sortingByTypeCases,
  columns: columnCases,
  expressions: expressionCases,
  'distribution values': distributionValueCases,
  parameters: parameterCases,
  'bad input': badInputCases,
};

export const writeSections: Readonly<Record<string, readonly WriteCase[]>> = {
  writes: writeCases,
  'router writes': routerWriteCases,
  'far writes': farWriteCases,
  transactions: transactionCases,
  sessions: sessionCases,
};

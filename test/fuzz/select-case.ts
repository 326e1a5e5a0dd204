import type { OracleCase } from '../oracle/oracle-case.ts';
import { isInexact } from './generate-select.ts';
import { renderSelect, sortColumns } from './query-tree.ts';
import type { Select } from './query-tree.ts';

/** The query with what it promises about its result. */
export function selectCase(select: Select): OracleCase {
  const { sql, values } = renderSelect(select);
  const floats = select.items.flatMap((item, index) => (isInexact(item) ? [index] : []));
  const keys = sortColumns(select);
  const limited = select.limit !== undefined || select.offset !== undefined;
  return {
    sql,
    ...(values.length > 0 ? { values } : {}),
    ...(keys.length > 0 ? { order: select.order?.total === true ? 'total' : keys } : {}),
    ...(limited && select.order?.total !== true ? { choosesFreely: true } : {}),
    ...(floats.length > 0 ? { floats } : {}),
    errorFields: 'code',
  };
}

import type { FieldDescriptor } from '../cluster/node-connection.ts';
import type { DescribedColumn } from '../plan/describe.ts';

/** Field descriptors as the coordinator database gives them for its shells. */
export function fieldsOf(columns: readonly DescribedColumn[]): FieldDescriptor[] {
  return columns.map((column) => ({
    name: column.name,
    tableID: column.tableOid,
    columnID: column.columnNumber,
    dataTypeID: column.typeOid,
    dataTypeSize: column.size,
    dataTypeModifier: column.modifier,
    format: 'text',
  }));
}

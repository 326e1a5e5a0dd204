import type { FieldDescriptor } from '../cluster/node-connection.ts';
import type { DescribedColumn } from '../plan/describe.ts';

/** A node's fields with the tables of other columns, where there are such: a view is not known there. */
export function withTablesOf<F extends FieldDescriptor>(fields: readonly F[], columns: readonly DescribedColumn[] | undefined): F[] {
  return fields.map((field, i) => {
    const column = columns?.[i];
    return column === undefined ? field : { ...field, tableID: column.tableOid, columnID: column.columnNumber };
  });
}

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

import type { AlterTableStmt, ColumnRef, Node } from '@pgsql/types';
import { at } from '../../base/assert.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { nameParts, walk } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import type { Conversion } from './definition-plan.ts';
import { subcommands, type Subcommand } from './subcommands.ts';

/** Where the table's name stands in an expression. */
const tableHole = { kind: 'table' } as const;
type TableHole = typeof tableHole;

/** The columns that an ALTER TABLE gives another type, with the expressions for that. */
export function conversionsOf(statement: Statement, alter: AlterTableStmt, table: CatalogTable): Map<string, Conversion> {
  if (!(alter.cmds ?? []).some((node) => 'AlterTableCmd' in node && node.AlterTableCmd.subtype === 'AT_AlterColumnType')) return new Map();
  const converting = subcommands(statement, alter).filter(({ command }) => command.subtype === 'AT_AlterColumnType');
  return new Map(converting.map((part) => [part.command.name ?? '', { using: usingOf(statement, part, table) }]));
}

function usingOf(statement: Statement, { command, tokens }: Subcommand, table: CatalogTable): Conversion['using'] {
  const definition = command.def !== undefined && 'ColumnDef' in command.def ? command.def.ColumnDef : undefined;
  const expression = definition?.raw_default;
  if (expression === undefined) return undefined;
  const start = at(tokens, tokens.findIndex(({ text }) => text.toUpperCase() === 'USING') + 1).start;
  const { end } = at(tokens, tokens.length - 1);
  const edits = tableEdits(statement, expression, table).map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
  const template = applyEdits<TableHole>(statement.text.slice(start, end), edits);
  return (name) => fillTemplate(template, () => name);
}

/** The table's name in an expression over its row, wherever it stands before a column or for the whole row. */
function tableEdits(statement: Statement, expression: Node, table: CatalogTable): Edit<TableHole>[] {
  const tokens = scanTokens(statement.text);
  const edits: Edit<TableHole>[] = [];
  walk([expression], (kind, body) => {
    if (kind !== 'ColumnRef') return undefined;
    const { fields = [], location = 0 } = body as ColumnRef;
    const parts = [...nameParts(fields.filter((field) => 'String' in field)), ...fields.filter((field) => 'A_Star' in field).map(() => '*')];
    const place = placeOfTable(parts, table);
    if (place === undefined) return undefined;
    const first = tokenAt(tokens, statement.source.index(location));
    edits.push({ start: at(tokens, first).start, end: at(tokens, first + 2 * place).end, parts: [tableHole] });
    return undefined;
  });
  return edits;
}

/** Which part of a dotted name is the table; a column hides a table of the same name. */
function placeOfTable(parts: readonly string[], { schema, name, columns }: CatalogTable): number | undefined {
  if (parts.length === 1) return parts[0] === name && !columns.some((column) => column.name === name) ? 0 : undefined;
  if (parts[0] === name) return 0;
  return parts[0] === schema && parts[1] === name ? 1 : undefined;
}

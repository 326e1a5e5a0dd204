import type { AlterTableStmt, ColumnRef, Node } from '@pgsql/types';
import { namesSystemColumn } from '../../analyze/analyze-statement.ts';
import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { nameParts, walk } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import { positionColumns } from '../check-select.ts';
import { onceExpressions } from '../select/evaluate-once.ts';
import type { Conversion } from './definition-plan.ts';
import { subcommands, type Subcommand } from './subcommands.ts';

/** Where the table's name stands in an expression. */
const tableHole = { kind: 'table' } as const;
type UsingHole = typeof tableHole | { readonly kind: 'once'; readonly index: number };

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
  if (namesSystemColumn([expression], positionColumns)) throw ofShards(table, command.name ?? '');
  const start = at(tokens, tokens.findIndex(({ text }) => text.toUpperCase() === 'USING') + 1).start;
  const { end } = at(tokens, tokens.length - 1);
  const places = onceExpressions(statement).filter((place) => place.start >= start && place.end <= end);
  const once = places.map((place, index): Edit<UsingHole> => ({ start: place.start, end: place.end, parts: [{ kind: 'once', index }] }));
  const edits = [...tableEdits(statement, expression, table), ...once].map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
  const template = applyEdits<UsingHole>(statement.text.slice(start, end), edits);
  return { once: places.map(({ sql }) => sql), sql: (name, values) => fillTemplate(template, (hole) => (hole.kind === 'table' ? name : at(values, hole.index))) };
}

function ofShards({ schema, name: table }: CatalogTable, column: string): ClusterError {
  return new ClusterError('unsupportedDdl', `cannot compute column "${column}" of table "${table}" anew from a system column`, { detail: 'A system column means something else on each shard.', hint: 'Leave it out.', schema, table, column });
}

/** The table's name in an expression over its row, wherever it stands before a column or for the whole row. */
function tableEdits(statement: Statement, expression: Node, table: CatalogTable): Edit<UsingHole>[] {
  const tokens = scanTokens(statement.text);
  const edits: Edit<UsingHole>[] = [];
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

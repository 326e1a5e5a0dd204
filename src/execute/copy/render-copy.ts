import type { DefElem, Node } from '@pgsql/types';
import { quoteIdentifier, quoteLiteral } from '../../sql/identifiers.ts';
import type { CopyStatement } from './copy-statement.ts';

/**
 * A COPY FROM STDIN into `relation` (qualified and quoted) with the statement's options and condition, without its
 * header and encoding: what goes to the shard has no header line and is UTF-8. `columns` may be more than the caller's
 * `listed` ones; FORCE_NULL and FORCE_NOT_NULL then keep to those.
 */
export function renderCopyIn(
  copy: CopyStatement,
  relation: string,
  { columns, listed }: { readonly columns: readonly string[]; readonly listed: readonly string[] },
): string {
  const condition = copy.condition === undefined ? '' : ` WHERE ${copy.condition}`;
  const elements = copy.elements
    .filter(({ defname }) => defname !== 'header')
    .map((element) => (columns.length === listed.length ? element : ofListed(element, listed)));
  return `COPY ${relation}${renderColumns(columns)} FROM STDIN${renderOptions(elements)}${condition}`;
}

/** As `renderCopyIn`, header included: for a COPY that takes the caller's bytes as they are. */
export function renderWholeCopyIn(copy: CopyStatement, relation: string, columns: readonly string[]): string {
  const condition = copy.condition === undefined ? '' : ` WHERE ${copy.condition}`;
  return `COPY ${relation}${renderColumns(columns)} FROM STDIN${renderOptions(copy.elements)}${condition}`;
}

/** A COPY … TO STDOUT of `source`: a relation with its columns, or a query in parentheses. */
export function renderCopyOut(copy: CopyStatement, source: string, header: 'keep' | 'leave_out'): string {
  const elements = header === 'keep' ? copy.elements : copy.elements.filter(({ defname }) => defname !== 'header');
  return `COPY ${source} TO STDOUT${renderOptions(elements)}`;
}

/** ` ("a", "b")`; nothing for no columns, which COPY reads as all. */
export function renderColumns(columns: readonly string[]): string {
  return columns.length === 0 ? '' : ` (${columns.map(quoteIdentifier).join(', ')})`;
}

function ofListed(element: DefElem, listed: readonly string[]): DefElem {
  if (element.arg === undefined || !('A_Star' in element.arg)) return element;
  return { ...element, arg: { List: { items: listed.map((sval) => ({ String: { sval } })) } } };
}

function renderOptions(elements: readonly DefElem[]): string {
  const options = elements
    .filter(({ defname }) => defname !== 'encoding')
    .map(({ defname = '', arg }) => `${quoteIdentifier(defname)}${arg === undefined ? '' : ` ${renderArgument(arg)}`}`);
  // The nodes' connections speak UTF-8 unless a setting of the session says otherwise.
  return ` WITH (${[...options, "encoding 'UTF8'"].join(', ')})`;
}

function renderArgument(argument: Node): string {
  if ('String' in argument) return quoteLiteral(argument.String.sval ?? '').trim();
  if ('Boolean' in argument) return argument.Boolean.boolval === true ? 'true' : 'false';
  if ('Integer' in argument) return String(argument.Integer.ival ?? 0);
  if ('Float' in argument) return argument.Float.fval ?? '0';
  if ('A_Star' in argument) return '*';
  if ('List' in argument) return `(${(argument.List.items ?? []).map(renderListItem).join(', ')})`;
  return "''";
}

/** COPY's lists hold column names. */
function renderListItem(item: Node): string {
  return 'String' in item ? quoteIdentifier(item.String.sval ?? '') : renderArgument(item);
}

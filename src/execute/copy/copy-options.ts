import type { DefElem, Node } from '@pgsql/types';

export type CopyFormat = 'text' | 'csv' | 'binary';

/** `skip`: one line that is ignored (COPY FROM) or written (COPY TO). `match`: its names must be the columns'. */
export type CopyHeader = 'none' | 'skip' | 'match';

export type ColumnChoice = readonly string[] | 'all';

/**
 * COPY's options with PostgreSQL's defaults filled in. Whether they go together is for a server to say; values it would
 * refuse are read as the default here.
 */
export interface CopyOptions {
  readonly format: CopyFormat;
  /** One byte. */
  readonly delimiter: string;
  readonly null: string;
  /** A field that is exactly this (and not quoted) asks for the column's default. */
  readonly default: string | undefined;
  readonly header: CopyHeader;
  /** One byte; CSV only. */
  readonly quote: string;
  /** One byte; CSV only; the quote unless given. */
  readonly escape: string;
  readonly forceQuote: ColumnChoice;
  readonly forceNotNull: ColumnChoice;
  readonly forceNull: ColumnChoice;
  readonly encoding: string | undefined;
  readonly onError: 'stop' | 'ignore';
  readonly rejectLimit: boolean;
}

export function copyOptions(elements: readonly DefElem[]): CopyOptions {
  const byName = new Map(elements.map((element) => [element.defname ?? '', element.arg]));
  const text = (name: string): string | undefined => textOf(byName.get(name));
  const format = formatOf(text('format'));
  const quote = text('quote') ?? '"';
  return {
    format,
    delimiter: text('delimiter') ?? (format === 'csv' ? ',' : '\t'),
    null: text('null') ?? (format === 'csv' ? '' : '\\N'),
    default: text('default'),
    header: byName.has('header') ? headerOf(text('header')) : 'none',
    quote,
    escape: text('escape') ?? quote,
    forceQuote: choiceOf(byName.get('force_quote')),
    forceNotNull: choiceOf(byName.get('force_not_null')),
    forceNull: choiceOf(byName.get('force_null')),
    encoding: text('encoding'),
    onError: text('on_error')?.toLowerCase() === 'ignore' ? 'ignore' : 'stop',
    rejectLimit: byName.has('reject_limit'),
  };
}

/** Whether `choice` names `column`. */
export function chooses(choice: ColumnChoice, column: string): boolean {
  return choice === 'all' || choice.includes(column);
}

function formatOf(text: string | undefined): CopyFormat {
  return text === 'csv' || text === 'binary' ? text : 'text';
}

function headerOf(text: string | undefined): CopyHeader {
  const value = text?.toLowerCase() ?? 'true';
  if (value === 'match') return 'match';
  return value === 'false' || value === 'off' || value === '0' ? 'none' : 'skip';
}

function choiceOf(argument: Node | undefined): ColumnChoice {
  if (argument === undefined) return [];
  if ('A_Star' in argument) return 'all';
  return 'List' in argument ? (argument.List.items ?? []).map((item) => textOf(item) ?? '') : [];
}

function textOf(argument: Node | undefined): string | undefined {
  if (argument === undefined) return undefined;
  if ('String' in argument) return argument.String.sval ?? '';
  if ('Boolean' in argument) return argument.Boolean.boolval === true ? 'true' : 'false';
  if ('Integer' in argument) return String(argument.Integer.ival ?? 0);
  return undefined;
}

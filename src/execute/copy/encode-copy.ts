import { chooses } from './copy-options.ts';
import type { CopyOptions } from './copy-options.ts';

/** Writes rows of text values as COPY TO would, in the text and CSV formats. */
export interface CopyEncoder {
  /** The header line, or nothing. */
  header(): string;
  /** A row with its line end. As many values as columns. */
  row(values: readonly (string | null)[]): string;
}

/**
 * An encoder for rows of these columns. Fields come out byte for byte as PostgreSQL writes them; encode the string as UTF-8.
 */
export function copyEncoder(options: CopyOptions, columns: readonly string[]): CopyEncoder {
  const encode = fieldEncoder(options, columns.length === 1);
  const forced = columns.map((column) => chooses(options.forceQuote, column));
  const line = (fields: readonly string[]): string => `${fields.join(options.delimiter)}\n`;
  return {
    header: () => (options.header === 'none' ? '' : line(columns.map((column) => encode(column, 'as_needed')))),
    row: (values) => line(values.map((value, i) => encode(value, forced[i] === true ? 'always' : 'as_needed'))),
  };
}

/** Writes a field; quotes matter to CSV only. */
export type FieldEncoder = (value: string | null, quotes: 'as_needed' | 'always') => string;

/** `alone`: it is the only field of its line, which may then look like an end marker. */
export function fieldEncoder(options: CopyOptions, alone: boolean): FieldEncoder {
  return options.format === 'csv' ? csvFieldEncoder(options, alone) : textFieldEncoder(options);
}

function textFieldEncoder({ delimiter, null: nullMarker }: CopyOptions): FieldEncoder {
  const special = new RegExp(`[\\b\\f\\n\\r\\t\\v\\\\${escapeForClass(delimiter)}]`, 'g');
  return (value) => (value === null ? nullMarker : value.replace(special, (character) => `\\${letters.get(character) ?? character}`));
}

const letters: ReadonlyMap<string, string> = new Map([
  ['\b', 'b'],
  ['\f', 'f'],
  ['\n', 'n'],
  ['\r', 'r'],
  ['\t', 't'],
  ['\v', 'v'],
]);

function csvFieldEncoder(options: CopyOptions, alone: boolean): FieldEncoder {
  const { delimiter, quote, escape, null: nullMarker } = options;
  const needsQuotes = new RegExp(`[\\n\\r${escapeForClass(delimiter)}${escapeForClass(quote)}]`);
  const needsEscape = new RegExp(`[${escapeForClass(quote)}${escapeForClass(escape)}]`, 'g');
  return (value, quotes) => {
    if (value === null) return nullMarker;
    const plain = quotes === 'as_needed' && value !== nullMarker && !needsQuotes.test(value) && !(alone && value === '\\.');
    return plain ? value : quote + value.replace(needsEscape, (character) => escape + character) + quote;
  };
}

/** Escapes every character that could mean something in a class. */
function escapeForClass(characters: string): string {
  return characters.replaceAll(/[^\w\s]/g, (character) => `\\${character}`);
}

import type { RawRow } from '../cluster/node-connection.ts';

/** Rows in COPY's text format. Source: PostgreSQL manual, COPY, "Text Format". */
export function copyTextRows(rows: readonly RawRow[]): Buffer {
  let text = '';
  for (const row of rows) text += `${row.map(copyField).join('\t')}\n`;
  return Buffer.from(text);
}

function copyField(value: string | null): string {
  if (value === null) return '\\N';
  return needsEscape.test(value) ? value.replace(escaped, (character) => escapes[character] ?? character) : value;
}

const needsEscape = /[\\\n\r\t]/;
const escaped = /[\\\n\r\t]/g;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

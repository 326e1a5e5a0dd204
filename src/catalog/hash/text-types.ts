import { hashUtf8 } from './hash-bytes.ts';
import { callSql, invalid, type TypeRules, type Unreadable } from './type-rules.ts';
import { clipUtf8 } from '../clip-utf8.ts';

/**
 * Under deterministic collations only: there equal texts are identical bytes. Databases are UTF-8 encoded.
 * All of these hash the bytes; they differ in what they drop before.
 */
export const textRules: TypeRules<string> = {
  name: 'text',
  hashSql: callSql('hashtext'),
  parse: withoutNul,
  print: (value) => value,
  hash: hashUtf8,
  parseBinary: decode,
  hashDirect: (value) => (typeof value === 'string' ? hashUtf8(value) : undefined),
};

export const varcharRules: TypeRules<string> = {
  ...textRules,
  name: 'character varying',
  assign: (value, modifier) => cutToLength(value, modifier - 4),
};

/** Trailing blanks do not count; the canonical text has none. */
export const bpcharRules: TypeRules<string> = {
  name: 'character',
  castName: 'bpchar',
  hashSql: callSql('hashbpchar'),
  parse: (text) => withoutBlanks(withoutNul(text)),
  print: (value) => value,
  hash: hashUtf8,
  parseBinary: (bytes) => withoutBlanks(decode(bytes)),
  assign: (value, modifier) => withoutBlanks(cutToLength(value, modifier - 4)),
};

/** Cut to 63 bytes, as every name is. */
export const nameRules: TypeRules<string> = {
  name: 'name',
  hashSql: callSql('hashname'),
  parse: (text) => (text.includes('\0') ? invalid : clipUtf8(text, 63)),
  print: (value) => value,
  hash: hashUtf8,
};

function withoutNul(text: string): string | Unreadable {
  return text.includes('\0') ? invalid : text;
}

function decode(bytes: Uint8Array): string | Unreadable {
  try {
    return withoutNul(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return invalid;
  }
}

function withoutBlanks(value: string | Unreadable): string | Unreadable {
  if (typeof value !== 'string' || !value.endsWith(' ')) return value;
  let end = value.length;
  while (end > 0 && value.charCodeAt(end - 1) === 0x20) end -= 1;
  return value.slice(0, end);
}

/** Assignment drops blanks beyond the length silently and refuses anything else there (22001). */
function cutToLength(value: string, charactersMax: number): string | Unreadable {
  if (value.length <= charactersMax) return value;
  const characters = Array.from(value);
  if (characters.length <= charactersMax) return value;
  const excess = characters.slice(charactersMax);
  return excess.every((character) => character === ' ') ? characters.slice(0, charactersMax).join('') : invalid;
}

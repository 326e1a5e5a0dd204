import { formatFloat4, parseFloat4 } from '../../sql/values/float4-text.ts';
import { formatFloat8 } from '../../sql/values/float8-text.ts';
import { hashBytes } from './hash-bytes.ts';
import { callSql, invalid, needsServer, type TypeRules, type Unreadable } from './type-rules.ts';

export const float8Rules: TypeRules<number> = {
  name: 'double precision',
  hashSql: callSql('hashfloat8'),
  parse: (text) => parseFloat(text, Number),
  print: formatFloat8,
  hash: hashFloat,
};

/** Widened to float8 before hashing, so that equal numbers of both types hash alike. */
export const float4Rules: TypeRules<number> = {
  name: 'real',
  hashSql: callSql('hashfloat4'),
  parse: (text) => parseFloat(text, parseFloat4),
  print: formatFloat4,
  hash: hashFloat,
};

function parseFloat(text: string, read: (decimal: string) => number): number | Unreadable {
  const bare = text.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '');
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(bare)) return parseSpecial(bare);
  const value = read(bare);
  const vanished = value === 0 && /[1-9]/.test(bare.replace(/e.*/i, ''));
  if (vanished || !Number.isFinite(value)) return invalid;
  return value === 0 ? 0 : value; // -0 equals 0.
}

function parseSpecial(text: string): number | Unreadable {
  if (/^[+-]?nan$/i.test(text)) return Number.NaN;
  const [, sign] = /^([+-]?)inf(?:inity)?$/i.exec(text) ?? [];
  if (sign !== undefined) return sign === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return needsServer; // What else the C library may read, such as hexadecimal.
}

/** NaN has one canonical bit pattern in JavaScript's typed arrays as on the server. */
function hashFloat(value: number): number {
  if (value === 0) return 0;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return hashBytes(bytes);
}

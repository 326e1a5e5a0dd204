import { compareTables } from './pair.ts';
import type { Pair } from './pair.ts';
import { copyInCases, copyOutCases } from './cases/copies.ts';
import { bytesOf, inPieces } from './copying.ts';
import type { Copying } from './copying.ts';

/** What a COPY did: its data, its count of rows, or its error. */
type CopyOutcome = { readonly data: string } | { readonly rows: number } | { readonly error: string };

interface CopySides {
  readonly plain: Copying;
  readonly cluster: Copying;
}

/** Lines on every COPY TO whose data or error differ. */
export async function compareCopiesOut({ plain, cluster }: CopySides): Promise<string[]> {
  const lines: string[] = [];
  for (const how of copyOutCases) {
    const [expected, actual] = await Promise.all([copyOut(plain, how), copyOut(cluster, how)]);
    if (JSON.stringify(expected) !== JSON.stringify(actual)) lines.push(`${how.sql}\n    ${show(actual)}\n    instead of ${show(expected)}`);
  }
  return lines;
}

/** Lines on every COPY FROM whose count or error differ, or after which the tables do. */
export async function compareCopiesIn(pair: Pair, { plain, cluster }: CopySides): Promise<string[]> {
  const lines: string[] = [];
  for (const { sql, data } of copyInCases) {
    await pair.writeTables.restore();
    const [expected, actual] = await Promise.all([copyIn(plain, sql, data), copyIn(cluster, sql, data)]);
    const name = `${sql} ${JSON.stringify(data)}`;
    if (JSON.stringify(expected) !== JSON.stringify(actual)) lines.push(`${name}\n    ${show(actual)}\n    instead of ${show(expected)}`);
    const tables = await compareTables(pair, ['changed', 'seen', 'first_seen', 'token', 'w_log.id', 'w_log.ref']);
    lines.push(...tables.map(({ kind, text }) => `[${kind}] ${name}\n    ${text}`));
  }
  return lines;
}

async function copyOut(side: Copying, how: (typeof copyOutCases)[number]): Promise<CopyOutcome> {
  try {
    const bytes = await bytesOf(side.copyTo(how.sql));
    return { data: how.binary === true ? binaryShape(bytes) : textShape(bytes.toString('utf8'), how) };
  } catch (error) {
    return { error: errorText(error) };
  }
}

async function copyIn(side: Copying, sql: string, data: string): Promise<CopyOutcome> {
  try {
    return { rows: (await side.copyFrom(sql, inPieces(Buffer.from(data)))).rowCount };
  } catch (error) {
    return { error: errorText(error) };
  }
}

/** Lines in a fixed order, but for the header. A quoted line break splits a row the same way on both sides. */
function textShape(text: string, { ordered, headerLines = 0 }: { ordered?: true; headerLines?: number }): string {
  if (ordered === true) return text;
  const lines = text.split('\n');
  return [...lines.slice(0, headerLines), ...lines.slice(headerLines).sort()].join('\n');
}

/** Header and trailer as they are; the rows between them as sorted byte values, since their order is free. */
function binaryShape(bytes: Buffer): string {
  return [bytes.subarray(0, 19).toString('hex'), [...bytes.subarray(19, -2)].sort((a, b) => a - b).join(), bytes.subarray(-2).toString('hex')].join(' ');
}

/** SQLSTATE, message, and of the context the line: `COPY w_stock, line 2, column id`. */
function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, where } = error as Error & { code?: unknown; where?: unknown };
  const line = typeof where === 'string' ? (/line \d+/u.exec(where)?.[0] ?? '') : '';
  return `${String(code)} ${error.message} ${line}`;
}

function show(outcome: CopyOutcome): string {
  return JSON.stringify(outcome).slice(0, 400);
}

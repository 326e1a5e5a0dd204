import { seriousness } from './compare-outcomes.ts';
import type { Difference } from './compare-outcomes.ts';
import type { OracleCase, WriteCase } from './oracle-case.ts';
import { compareParsed, compareStatement, compareWrites } from './pair.ts';
import type { Pair } from './pair.ts';

/** Which cases of a section run: every `every`th from `offset`, so that cells together cover all. */
export interface Share {
  readonly every: number;
  readonly offset: number;
  readonly major: number;
}

/** Lines on all differences of the section, the most serious first; empty when both sides agree. */
export async function runReads(pair: Pair, list: readonly OracleCase[], share: Share): Promise<string[]> {
  const found: Finding[] = [];
  for (const how of inShare(list, share)) {
    const differences = await compareStatement(pair, how);
    if (differences.length === 0) differences.push(...(await compareParsed(pair, how)));
    found.push(...differences.map((difference) => ({ difference, statement: nameOf(how) })));
  }
  return report(found);
}

export async function runWrites(pair: Pair, list: readonly WriteCase[], share: Share): Promise<string[]> {
  const found: Finding[] = [];
  for (const write of inShare(list, share)) {
    const differences = await compareWrites(pair, write);
    found.push(...differences.map((difference) => ({ difference, statement: write.name })));
  }
  return report(found);
}

interface Finding {
  readonly difference: Difference;
  readonly statement: string;
}

function inShare<T extends { readonly since?: number }>(list: readonly T[], share: Share): T[] {
  return list.filter((entry, index) => index % share.every === share.offset % share.every && (entry.since ?? 0) <= share.major);
}

function report(found: readonly Finding[]): string[] {
  const rank = ({ difference }: Finding): number => seriousness.indexOf(difference.kind);
  return [...found].sort((left, right) => rank(left) - rank(right)).map(({ difference, statement }) => `[${difference.kind}] ${statement}\n    ${difference.text}`);
}

function nameOf({ sql, values }: OracleCase): string {
  return values === undefined ? sql : `${sql} -- ${JSON.stringify(values, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))}`;
}

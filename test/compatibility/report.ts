import type { Compared, Verdict } from './compare-units.ts';
import type { Layout } from './script.ts';

export type Counts = Readonly<Record<Verdict, number>>;

/** Of each file, in order. */
export type LayoutCounts = ReadonlyMap<string, Counts>;

export function countsOf(compared: readonly Compared[]): Counts {
  const of = (verdict: Verdict): number => compared.filter((one) => one.verdict === verdict).length;
  return { equal: of('equal'), order: of('order'), noise: of('noise'), refused: of('refused'), follows: of('follows'), plan: of('plan'), different: of('different') };
}

export function sumOf(counts: LayoutCounts): Counts {
  const sum: Record<Verdict, number> = { equal: 0, order: 0, noise: 0, refused: 0, follows: 0, plan: 0, different: 0 };
  for (const one of counts.values()) for (const verdict of verdicts) sum[verdict] += one[verdict];
  return sum;
}

/** A line of the table for each file with anything but equal answers, and the sums. */
export function tableOf(layouts: ReadonlyMap<Layout, LayoutCounts>): string {
  const [first] = layouts.values();
  const files = [...(first?.keys() ?? [])];
  const columns = [...layouts.keys()].flatMap((layout) => verdicts.map((verdict) => `${layout}: ${verdict}`));
  const row = (name: string, counts: readonly (Counts | undefined)[]): string => `| ${[name, ...counts.flatMap((one) => verdicts.map((verdict) => String(one?.[verdict] ?? 0)))].join(' | ')} |`;
  const isSettled = (file: string): boolean => [...layouts.values()].every((counts) => verdicts.every((verdict) => verdict === 'equal' || (counts.get(file)?.[verdict] ?? 0) === 0));
  const settled = files.filter(isSettled);
  return [
    `| file | ${columns.join(' | ')} |`, `|${'---|'.repeat(columns.length + 1)}`,
    ...files.filter((file) => !isSettled(file)).map((file) => row(file, [...layouts.values()].map((counts) => counts.get(file)))),
    row(`**all ${files.length}**`, [...layouts.values()].map(sumOf)),
    '', `All equal: ${settled.join(', ')}.`,
  ].join('\n');
}

/** What is not equal, in full. */
export function differencesOf(compared: readonly Compared[]): string {
  return compared.filter(({ verdict }) => verdict !== 'equal').map(({ place, verdict, statement, direct, cluster }) => `=== line ${place}: ${verdict}\n${statement}\n--- direct\n${direct}\n--- cluster\n${cluster}\n`).join('\n');
}

const verdicts = ['equal', 'order', 'noise', 'refused', 'follows', 'plan', 'different'] as const satisfies readonly Verdict[];

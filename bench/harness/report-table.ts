import pc from 'picocolors';
import type { MetricResult } from './bench.ts';
import type { Report } from './report.ts';

/** The report for people: one aligned line per metric, refusals and problems below. Colours follow NO_COLOR and the terminal. */
export function reportTable(report: Report): string {
  const { machine } = report;
  const lines = alignColumns([
    ['', 'unit', 'plain', 'cluster', 'ratio', 'target', ''],
    ...report.results.map(tableLine),
  ]);
  const refusals = sentences(report.results, ({ refused }) => refused);
  const problems = sentences(report.results, ({ problem }) => problem);
  return [
    pc.dim(`commit ${report.commit} · PostgreSQL ${machine.postgres} · Node ${machine.node} · ${machine.cores} × ${machine.cpu} · ${machine.memoryGiB} GiB`),
    '',
    pc.bold(lines[0] ?? ''),
    ...lines.slice(1).map((line, index) => colourOf(report.results[index])(line)),
    ...(refusals.length === 0 ? [] : ['', ...refusals.map((refusal) => pc.dim(refusal))]),
    ...(problems.length === 0 ? [] : ['', ...problems.map((problem) => pc.red(problem))]),
  ].join('\n');
}

function tableLine(result: MetricResult): string[] {
  return [
    result.name,
    result.unit,
    figure(result.plain),
    figure(result.cluster),
    result.ratio === null ? '–' : result.ratio.toFixed(2),
    result.target ?? '',
    markOf(result),
  ];
}

function markOf(result: MetricResult): string {
  if (result.problem !== undefined) return 'failed';
  if (result.refused !== undefined) return 'refused';
  if (result.met === undefined) return '';
  return result.met ? 'met' : 'missed';
}

function colourOf(result: MetricResult | undefined): (line: string) => string {
  if (result?.problem !== undefined) return pc.red;
  if (result?.refused !== undefined || result?.met === false) return pc.yellow;
  return result?.met === true ? pc.green : String;
}

/** Four digits that matter, thousands apart: `20 512`, `0.1234`, `13.45`. */
function figure(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1000) return Math.round(value).toString().replaceAll(/\B(?=(\d{3})+$)/g, ' ');
  return value.toPrecision(4);
}

/** Each sentence once, after the names of the results that it is about. */
function sentences(results: readonly MetricResult[], sentenceOf: (result: MetricResult) => string | undefined): string[] {
  const namesOf = new Map<string, string[]>();
  for (const result of results) {
    const sentence = sentenceOf(result);
    if (sentence !== undefined) namesOf.set(sentence, [...(namesOf.get(sentence) ?? []), result.name]);
  }
  return [...namesOf].map(([sentence, names]) => `${names.join(', ')}: ${sentence}`);
}

/** Pads cells so that columns line up: the first two and the last two to the left, figures to the right. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const isFigure = (column: number): boolean => column >= 2 && column < columns - 2;
  return rows.map((row) =>
    row.map((cell, column) => (isFigure(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('  ').trimEnd(),
  );
}

import pc from 'picocolors';
import { duration, heading, quoted, wholeNumber } from '../terminal/heading.ts';
import { tableText } from '../terminal/table.ts';
import type { Answer } from './run-stop.ts';
import type { Stop } from './stops.ts';

const rowsShown = 6;

export interface StopOutcome {
  readonly stop: Stop;
  readonly plain: Answer;
  readonly cluster: Answer;
  /** EXPLAIN's text, or why there is none. */
  readonly plan: string;
  /** How the answers differ, if they do. */
  readonly difference: string | undefined;
}

/** A stop for the terminal: statement, plan, first rows, and the verdict. */
export function stopText({ stop, plain, cluster, plan, difference }: StopOutcome): string {
  const parameters = stop.values.length === 0 ? '' : `  -- $1 = ${stop.values.map(String).join(', ')}`;
  return [
    heading(stop.title),
    stop.about,
    '',
    quoted(`${stop.sql}${parameters}`),
    '',
    pc.bold('  Plan'),
    quoted(plan),
    '',
    answerText(cluster),
    verdict({ plain, cluster, difference }),
  ].join('\n');
}

function answerText({ outcome }: Answer): string {
  if (outcome.kind === 'error') return `  ${pc.yellow(`ERROR ${outcome.code}`)}  ${outcome.message}`;
  const { fields, rows } = outcome.result;
  const view = tableText({ columns: fields.map((field) => field.name), rows: rows.slice(0, rowsShown).map((row) => fields.map((field) => row[field.name])) });
  return rows.length > rowsShown ? `${view}\n  … and ${wholeNumber(rows.length - rowsShown)} more rows` : view;
}

function verdict({ plain, cluster, difference }: Pick<StopOutcome, 'plain' | 'cluster' | 'difference'>): string {
  const times = `cluster ${duration(cluster.elapsedMs)} · one PostgreSQL ${duration(plain.elapsedMs)}`;
  if (difference !== undefined) return `  ${pc.red(pc.bold('✗'))} ${times} · ${pc.red(difference)}`;
  const { outcome } = plain;
  const same = outcome.kind === 'error' ? 'same error' : `same rows and types (${wholeNumber(outcome.result.rows.length)} compared)`;
  return `  ${pc.green(pc.bold('✓'))} ${times} · ${pc.green(same)}`;
}

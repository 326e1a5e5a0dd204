import type { Statement } from '../sql/parse.ts';

/** Longer statements cost memory on each connection that knows them. */
const lengthMax = 10_000;
/** Words that date and time types take for the time when the text is parsed; and ways to write them that hide them. */
const timely = /\b(?:today|tomorrow|yesterday)\b|\bnow\b(?!\s*\()|\bu&'|\be'/i;

/**
 * Whether the statement means the same whenever it is parsed, so that a server may parse it once and run it again and again. `'today'` is computed when
 * the text is parsed. Errs on the safe side.
 */
export function isTimeless({ text }: Pick<Statement, 'text'>): boolean {
  return text.length <= lengthMax && !timely.test(text);
}

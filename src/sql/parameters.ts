import { scanTokens } from './scan.ts';

export interface Renumbered {
  readonly text: string;
  /** `$1`, `$2` … of the text are these of the original. */
  readonly numbers: readonly number[];
}

/** Closes gaps in a text's parameter numbers: a server cannot tell the type of a parameter that is not used. */
export function closeParameterGaps(text: string): Renumbered {
  if (!text.includes('$')) return { text, numbers: [] };
  const tokens = scanTokens(text).filter((token) => /^\$\d+$/.test(token.text));
  const numbers = [...new Set(tokens.map((token) => Number(token.text.slice(1))))].sort((a, b) => a - b);
  if (numbers.every((number, i) => number === i + 1)) return { text, numbers };
  let result = '';
  let at = 0;
  for (const token of tokens) {
    result += `${text.slice(at, token.start)}$${numbers.indexOf(Number(token.text.slice(1))) + 1}`;
    at = token.end;
  }
  return { text: result + text.slice(at), numbers };
}

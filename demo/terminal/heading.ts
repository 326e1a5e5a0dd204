import pc from 'picocolors';

const width = 100;

/** A title with a rule to the edge of the page, after an empty line. */
export function heading(title: string): string {
  return `\n${pc.bold(pc.cyan(title))} ${pc.dim('─'.repeat(Math.max(0, width - title.length - 1)))}`;
}

/** Lines moved to the right, dimmed. Long ones go on below, further to the right, and end after a few lines with an ellipsis. */
export function quoted(text: string): string {
  return text.split('\n').flatMap(wrapped).map((line) => `  ${pc.dim(line)}`).join('\n');
}

const linesMax = 3;
const hang = 4;

function wrapped(line: string): string[] {
  const indent = line.length - line.trimStart().length;
  const lines: string[] = [];
  let rest = line;
  while (rest.length > width - 2 && lines.length < linesMax) {
    const cut = rest.lastIndexOf(' ', width - 2);
    const at = cut > indent + hang ? cut : width - 2;
    lines.push(rest.slice(0, at));
    rest = ' '.repeat(indent + hang) + rest.slice(at).trimStart();
  }
  return lines.length < linesMax ? [...lines, rest] : [...lines.slice(0, -1), `${(lines.at(-1) ?? '').slice(0, width - 4)} …`];
}

/** `12.3 ms`, `1.24 s`. */
export function duration(ms: number): string {
  return ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** Thousands apart: `300 000`. */
export function wholeNumber(value: number): string {
  return Math.round(value).toString().replaceAll(/\B(?=(\d{3})+$)/g, ' ');
}

import pc from 'picocolors';

const width = 100;

/** A title with a rule to the edge of the page, after an empty line. */
export function heading(title: string): string {
  return `\n${pc.bold(pc.cyan(title))} ${pc.dim('─'.repeat(Math.max(0, width - title.length - 1)))}`;
}

/** Lines moved to the right, dimmed. */
export function quoted(text: string): string {
  return text.split('\n').map((line) => `  ${pc.dim(line)}`).join('\n');
}

/** `12.3 ms`, `1.24 s`. */
export function duration(ms: number): string {
  return ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** Thousands apart: `300 000`. */
export function wholeNumber(value: number): string {
  return Math.round(value).toString().replaceAll(/\B(?=(\d{3})+$)/g, ' ');
}

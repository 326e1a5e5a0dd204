/** A line of a script, as psql echoes it before it reads the next one. */
export interface EchoedLine {
  readonly text: string;
  /** Not in the file of PostgreSQL: added by the runner. */
  readonly isAdded: boolean;
}

/** What came after a line and before the next one. */
export interface Unit {
  /** The statement: all lines since the unit before. */
  readonly statement: string;
  readonly output: string;
  readonly isAdded: boolean;
}

/**
 * Cuts what psql has printed with all lines echoed into units, by the place of their last line in the script, not counting added lines; those go by the place before them and a half. Lines of data that follow `COPY …
 * FROM STDIN` are not echoed, unless the COPY failed.
 */
export function unitsOf(lines: readonly EchoedLine[], printed: string): ReadonlyMap<number, Unit> {
  const units = new Map<number, Unit>();
  const seen: Seen = { position: 0, place: 0, statement: [], output: [] };
  const close = (): void => {
    const last = lines[seen.position - 1];
    const output = seen.output.join('\n').trimEnd();
    seen.output = [];
    if (output.trim() === '') return;
    const isAdded = last?.isAdded === true;
    units.set(isAdded ? seen.place + 0.5 : seen.place, { statement: seen.statement.join('\n'), output, isAdded });
    seen.statement = [];
  };
  for (const text of printed.split('\n')) {
    const next = nextPosition(lines, seen.position, text);
    if (next === undefined) {
      seen.output.push(text);
      continue;
    }
    close();
    seen.place += lines.slice(seen.position, next).filter(({ isAdded }) => !isAdded).length;
    seen.position = next;
    seen.statement.push(text);
  }
  close();
  return units;
}

interface Seen {
  /** Lines of the script that are behind. */
  position: number;
  /** The same without those added. */
  place: number;
  statement: string[];
  output: string[];
}

/** The place behind the line that is echoed here; undefined for a line of output. */
function nextPosition(lines: readonly EchoedLine[], position: number, text: string): number | undefined {
  let at = position;
  while (lines[at]?.text === '') at += 1;
  if (text !== '' && lines[at]?.text === text) return at + 1;
  const last = lines[position - 1]?.text ?? '';
  if (!/\bfrom\s+stdin\b/i.test(last)) return undefined;
  // One line may have several such statements.
  for (const _ of last.matchAll(/\bfrom\s+stdin\b/gi)) {
    const end = lines.findIndex((line, i) => i >= at && line.text === '\\.');
    if (end === -1) return undefined;
    at = end + 1;
    while (lines[at]?.text === '') at += 1;
    if (text !== '' && lines[at]?.text === text) return at + 1;
  }
  return undefined;
}

/** A text with holes: pieces of the caller's own text, and things that are filled in when it is sent. */
export interface Template<Hole> {
  readonly parts: readonly (string | Hole)[];
}

/** A cut in a text: what stands from `start` to `end` gives way to `parts`. */
export interface Edit<Hole> {
  readonly start: number;
  readonly end: number;
  readonly parts: readonly (string | Hole)[];
}

/** The text with its edits made. They may come in any order, but not overlap. */
export function applyEdits<Hole>(text: string, edits: readonly Edit<Hole>[]): Template<Hole> {
  const parts: (string | Hole)[] = [];
  let at = 0;
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    append(parts, text.slice(at, edit.start));
    for (const part of edit.parts) append(parts, part);
    at = edit.end;
  }
  append(parts, text.slice(at));
  return { parts };
}

function append<Hole>(parts: (string | Hole)[], part: string | Hole): void {
  const last = parts.at(-1);
  if (part === '') return;
  if (typeof part === 'string' && typeof last === 'string') parts[parts.length - 1] = last + part;
  else parts.push(part);
}

/** The text with every hole filled. Time: O(length). */
export function fillTemplate<Hole>(template: Template<Hole>, fill: (hole: Hole) => string): string {
  let text = '';
  for (const part of template.parts) text += typeof part === 'string' ? part : fill(part);
  return text;
}

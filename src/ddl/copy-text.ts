const backslash = 0x5c;

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** The text of one field of COPY's text format, which must not be NULL. Only what a server writes: it uses no octal or hexadecimal escapes. */
export function unescapeCopyText(field: Buffer): string {
  const text = field.toString('utf8');
  if (!field.includes(backslash)) return text;
  return text.replaceAll(/\\(.)/gs, (_, letter: string) => escapes[letter] ?? letter);
}

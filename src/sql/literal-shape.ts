/** A number or a string that stands in a text. */
export interface Literal {
  /** String indices in the text, quotes included. */
  readonly start: number;
  readonly end: number;
  /** `integer` fits in an int4, `bigint` in an int8, as the grammar tells them apart; `decimal` has a point. */
  readonly kind: 'integer' | 'bigint' | 'decimal' | 'string';
  /** A number as it is written, a string without quotes. */
  readonly value: string;
}

export interface LiteralShape {
  /** The text with the kind of each literal in its place: two texts of one skeleton have the same tokens but for the values. */
  readonly skeleton: string;
  readonly literals: readonly Literal[];
}

/**
 * Names, quoted names, operators, blanks; then strings and numbers. What is not among them (comments, dollar quotes, backslashes, `E''` and the like, names that are not ASCII, numbers with exponents) is not looked for: such a
 * text has no shape here. So this need not scan all that PostgreSQL does, but the same where it scans at all.
 */
const token = /(?:[A-Za-z_]\w*|"(?:[^"]|"")*"|[ \t\r\n\f()[\],;=<>!+*%^|~#@?.:&]+|-(?!-)|\/(?!\*))+|'((?:[^'\\]|'')*)'(?!['\w$])|(\d+(?:\.\d+)?)(?![\w.$])/y;
const textLengthMax = 10_000;
const int4Max = 2_147_483_647;
const int8Max = 9_223_372_036_854_775_807n;

/** The shape of a text, which is one statement or several; undefined for one that is long, has no literals, or is written in a way that is not looked for. Cost: a microsecond or two for a hundred characters. */
export function literalShape(text: string): LiteralShape | undefined {
  if (text.length > textLengthMax || text.includes('\0')) return undefined;
  const literals: Literal[] = [];
  let skeleton = '';
  token.lastIndex = 0;
  for (let at = 0; at < text.length;) {
    const found = token.exec(text);
    if (found === null) return undefined;
    const [whole, string, number] = found;
    const end = at + whole.length;
    if (string === undefined && number === undefined) skeleton += whole;
    else {
      if (!mayPrecede(text, at, string !== undefined, literals.at(-1))) return undefined;
      const kind = number === undefined ? 'string' : kindOf(number);
      if (kind === undefined) return undefined;
      skeleton += marks[kind];
      literals.push({ start: at, end, kind, value: number ?? (string ?? '').replaceAll(`''`, `'`) });
    }
    at = end;
  }
  return literals.length === 0 ? undefined : { skeleton, literals };
}

const marks = { integer: '\0i', bigint: '\0b', decimal: '\0d', string: '\0s' } as const;

/** Before a string a name or `&` is its prefix, and another string is a part of it; before a number a point is. */
function mayPrecede(text: string, at: number, isString: boolean, last: Literal | undefined): boolean {
  const before = text[at - 1] ?? ' ';
  if (!isString) return before !== '.' && before !== `'`;
  return !/[\w&"'$]/.test(before) && (last?.kind !== 'string' || text.slice(last.end, at).trim() !== '');
}

function kindOf(number: string): Literal['kind'] | undefined {
  if (number.includes('.')) return 'decimal';
  if (number.length < 10 || Number(number) <= int4Max) return 'integer';
  return number.length <= 19 && BigInt(number) <= int8Max ? 'bigint' : undefined;
}

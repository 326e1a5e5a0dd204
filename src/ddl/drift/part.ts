import { sameTree } from '../../sql/ast.ts';
import { parseOne } from '../../sql/parse.ts';

/** One thing that a shard has. Two are the same if the same SQL makes them. */
export interface Part {
  /** The same for what stands for each other in table and shard. */
  readonly key: string;
  /** Within a part that has to be there first: the key of that. */
  readonly within?: string;
  /** `column "total"`. */
  readonly what: string;
  /** How it is told in a report: `numeric(10,2)`. */
  readonly shown: string;
  /** What makes it, where `within` is. */
  readonly make: readonly string[];
  /** What takes it away again. */
  readonly drop: readonly string[];
  /** What makes it of another one, where that is not to drop that first. */
  readonly change?: (found: Part) => readonly string[];
}

export interface PartDifference {
  readonly what: string;
  /** Undefined where there should be nothing. */
  readonly expected: string | undefined;
  readonly found: string | undefined;
  readonly repair: readonly string[];
}

/** What differs, in the order of `expected`, then what is too many. */
export function compareParts(expected: readonly Part[], found: readonly Part[]): PartDifference[] {
  const differences: PartDifference[] = [];
  const foundByKey = new Map(found.map((part) => [part.key, part]));
  const expectedKeys = new Set(expected.map(({ key }) => key));
  const absent = (part: Part): boolean => part.within !== undefined && !foundByKey.has(part.within);
  for (const part of expected) {
    const other = foundByKey.get(part.key);
    if (absent(part) || (other !== undefined && sameSql(part, other))) continue;
    const repair = other === undefined ? made(part, expected) : changed(part, other);
    differences.push({ what: part.what, expected: part.shown, found: other?.shown, repair });
  }
  for (const { key, within, what, shown, drop } of found) {
    if (expectedKeys.has(key) || (within !== undefined && !expectedKeys.has(within))) continue;
    differences.push({ what, expected: undefined, found: shown, repair: drop });
  }
  return differences;
}

function sameSql(a: Part, b: Part): boolean {
  return a.make.length === b.make.length && a.make.every((statement, i) => isSame(statement, b.make[i] ?? ''));
}

/** The server quotes names only where it must. */
function isSame(a: string, b: string): boolean {
  return a === b || (isStatement(a) && isStatement(b) && sameTree(parseOne(a).node, parseOne(b).node));
}

function isStatement(text: string): boolean {
  return /^(CREATE (POLICY|TRIGGER|CONSTRAINT TRIGGER|STATISTICS)) /.test(text);
}

function made(part: Part, all: readonly Part[]): string[] {
  return [...part.make, ...all.filter(({ within }) => within === part.key).flatMap(({ make }) => make)];
}

function changed(part: Part, found: Part): readonly string[] {
  return part.change?.(found) ?? [...found.drop, ...part.make];
}

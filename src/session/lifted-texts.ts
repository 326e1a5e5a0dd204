import { RelationNames } from '../analyze/relation-names.ts';
import { at } from '../base/assert.ts';
import { LruMap } from '../base/lru.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { type LiftedConstant, liftedConstants } from '../plan/lifted-constants.ts';
import { type Literal, type LiteralShape, literalShape } from '../sql/literal-shape.ts';
import type { Statement } from '../sql/parse.ts';

/** A statement with parameters that means what a text with constants in their places does. */
export interface LiftedText {
  readonly statement: Statement;
  readonly values: readonly string[];
  readonly skeleton: string;
  /** The text that it was made of, and where constants stood there, in order. */
  readonly from: string;
  readonly spans: readonly { readonly start: number; readonly end: number }[];
}

interface KnownShape {
  seen: number;
  snapshot: CatalogSnapshot | undefined;
  constants: readonly LiftedConstant[];
}

interface KnownText {
  readonly snapshot: CatalogSnapshot;
  /** Undefined for what is no SQL. */
  readonly statement: Statement | undefined;
}

/** A shape is seen so often before its constants are lifted: a text that comes again just as it is needs no parameters. */
const seenMin = 3;
const capacity = 2_000;
const weighing = { max: 1_000_000, of: (key: string) => key.length };

/**
 * Which texts differ in constants alone, and so can be one statement with parameters, which is parsed and planned once. For clients that put their values into the text. Under the default search path.
 */
export class LiftedTexts {
  readonly #shapes = new LruMap<string, KnownShape>(capacity, weighing);
  readonly #texts = new LruMap<string, KnownText>(capacity, weighing);

  constructor(private readonly parse: (text: string) => readonly Statement[]) {}

  /** At once: a few microseconds for a short text. Undefined for a text that is better run as it is. */
  of(text: string, snapshot: CatalogSnapshot): LiftedText | undefined {
    const shape = literalShape(text);
    if (shape === undefined) return undefined;
    const known = this.#shapes.get(shape.skeleton);
    if (known === undefined) {
      this.#shapes.set(shape.skeleton, { seen: 1, snapshot: undefined, constants: [] });
      return undefined;
    }
    known.seen += 1;
    if (known.seen < seenMin) return undefined;
    if (known.snapshot !== snapshot) Object.assign(known, { snapshot, constants: this.#constantsOf(text, shape.literals, snapshot) });
    return known.constants.length === 0 ? undefined : this.#lifted(text, shape, known.constants, snapshot);
  }

  /** No plan that helps came of it: texts of this shape run as they are by this catalog. */
  refuse({ skeleton }: LiftedText): void {
    const known = this.#shapes.get(skeleton);
    if (known !== undefined) known.constants = [];
  }

  #constantsOf(text: string, literals: readonly Literal[], snapshot: CatalogSnapshot): readonly LiftedConstant[] {
    const [statement, second] = this.#parsed(text);
    if (statement === undefined || second !== undefined) return [];
    return liftedConstants(statement, literals, new RelationNames(snapshot, snapshot.server.searchPath));
  }

  /** Nothing is said here of what is no SQL. */
  #parsed(text: string): readonly Statement[] {
    try {
      return this.parse(text);
    } catch {
      return [];
    }
  }

  #lifted(text: string, { skeleton, literals }: LiteralShape, constants: readonly LiftedConstant[], snapshot: CatalogSnapshot): LiftedText | undefined {
    const values: string[] = [];
    const spans: LiftedText['spans'][number][] = [];
    let made = '';
    let behind = 0;
    for (const { literal, signLength, takes } of constants) {
      const { start: unsigned, end, value: digits } = at(literals, literal);
      const start = unsigned - signLength;
      const value = signLength > 0 ? `-${digits}` : digits;
      if (!takes(value)) return undefined;
      values.push(value);
      spans.push({ start, end });
      made += `${text.slice(behind, start)}$${values.length}`;
      behind = end;
    }
    made += text.slice(behind);
    const statement = this.#statementOf(made, snapshot);
    return statement === undefined ? undefined : { statement, values, skeleton, from: text, spans };
  }

  #statementOf(text: string, snapshot: CatalogSnapshot): Statement | undefined {
    const known = this.#texts.get(text);
    if (known?.snapshot === snapshot) return known.statement;
    const [statement] = this.#parsed(text);
    this.#texts.set(text, { snapshot, statement });
    return statement;
  }
}

/** An error in a lifted text, with its position in the text that it was made of. */
export function placedInOwnText(error: unknown, { statement, from, spans }: LiftedText): unknown {
  if (typeof error !== 'object' || error === null || !('position' in error) || typeof error.position !== 'string') return error;
  let index = Array.from(statement.text).slice(0, Number(error.position) - 1).join('').length;
  for (const [i, { start, end }] of spans.entries()) {
    const parameter = `$${i + 1}`.length;
    if (index <= start) break;
    index = index < start + parameter ? start : index + (end - start - parameter);
  }
  Reflect.set(error, 'position', String(Array.from(from.slice(0, index)).length + 1));
  return error;
}

import type { FieldDescriptor } from './node-connection.ts';

/** A prepared statement of one connection. */
export interface KnownStatement {
  readonly name: string;
  readonly text: string;
  /** The catalog's version that its text was made by; undefined for one that its user has named. */
  readonly version: number | undefined;
  /** Its Parse has been written. */
  isSent: boolean;
  /** What has to be closed before it is parsed. */
  readonly closes: string | undefined;
  /** Its columns, once they were described: empty if it returns none. The server refuses (0A000) to run it with others. */
  fields: FieldDescriptor[] | undefined;
  /** When it was used last, in uses of repeated statements. */
  lastUse: number;
}

/** A statement used within so many uses of each that is kept does not give way to another. */
const roundsKept = 4;

/**
 * What a connection's server knows as prepared: statements that their users have named, and of those without a name the ones that are repeated, `repeatedMax` at most.
 */
export class KnownStatements {
  readonly #named = new Map<string, KnownStatement>();
  /** By text, the least recently used first. */
  readonly #repeated = new Map<string, KnownStatement>();
  /** Names that the server may still have for something else. */
  readonly #outdated = new Set<string>();
  #uses = 0;
  #made = 0;
  #isIsolated = false;

  constructor(private readonly repeatedMax: number) {}

  /**
   * `anew`: what the server knows by that name is of no use any more. So it is with a name that has stood for another text: what a caller's statement is on a server changes with the
   * definitions of its tables. That one name of a caller's stands for one text of the caller's is not seen to here.
   */
  named(name: string, text: string, anew: boolean): KnownStatement {
    const known = this.#named.get(name);
    return known === undefined || anew || known.text !== text ? this.#keepNamed(name, text) : known;
  }

  /** Undefined if there is no room for it: it is run without a name then. */
  repeated(text: string, version: number, anew: boolean): KnownStatement | undefined {
    if (this.#isIsolated) return undefined;
    this.#uses += 1;
    const known = this.#repeated.get(text);
    if (known === undefined) return this.#hasRoom() ? this.#keepRepeated(text, version, this.#displaced()) : undefined;
    if (known.version !== version || anew) return this.#keepRepeated(text, version, known.name);
    known.lastUse = this.#uses;
    if (this.#repeated.size * 2 > this.repeatedMax) {
      this.#repeated.delete(text);
      this.#repeated.set(text, known);
    }
    return known;
  }

  /** The server may not know it, or not any more. */
  forget(statement: KnownStatement): void {
    const { name, text } = statement;
    if (this.#named.get(name) === statement) {
      this.#named.delete(name);
      this.#outdated.add(name);
    } else if (this.#repeated.get(text) === statement) this.#repeated.delete(text);
  }

  /**
   * The session's settings change from here on, and may change what a text means: what has been prepared is not used any more, and what is repeated not prepared, until
   * the server has forgotten all.
   */
  isolate(): void {
    if (this.#isIsolated) return;
    this.#isIsolated = true;
    for (const name of this.#named.keys()) this.#outdated.add(name);
    this.#named.clear();
  }

  /** The server has forgotten all. */
  clear(): void {
    this.#named.clear();
    this.#repeated.clear();
    this.#outdated.clear();
    this.#isIsolated = false;
  }

  #keepNamed(name: string, text: string): KnownStatement {
    const isOutdated = this.#outdated.delete(name) || this.#named.has(name);
    const made = this.#make({ name, text, version: undefined, closes: isOutdated ? name : undefined });
    this.#named.set(name, made);
    return made;
  }

  #keepRepeated(text: string, version: number, closes: string | undefined): KnownStatement {
    this.#made += 1;
    const made = this.#make({ name: `shardwright_${this.#made}`, text, version, closes });
    this.#repeated.delete(text);
    this.#repeated.set(text, made);
    return made;
  }

  #make(statement: Pick<KnownStatement, 'name' | 'text' | 'version' | 'closes'>): KnownStatement {
    return { ...statement, isSent: false, fields: undefined, lastUse: this.#uses };
  }

  /** Also if something that is hardly used can give way. */
  #hasRoom(): boolean {
    if (this.#repeated.size < this.repeatedMax) return true;
    const [oldest] = this.#repeated.values();
    return oldest !== undefined && this.#uses - oldest.lastUse > roundsKept * this.repeatedMax;
  }

  /** The name of the one that gives way, if one has to. */
  #displaced(): string | undefined {
    const [oldest] = this.#repeated.size < this.repeatedMax ? [] : this.#repeated.values();
    if (oldest !== undefined) this.#repeated.delete(oldest.text);
    return oldest?.name;
  }
}

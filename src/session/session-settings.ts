import { isReadSetting } from './read-options.ts';

/** A statement that sets something for the session: SET, RESET or a call of set_config. */
export interface Setting {
  /** Lower case; a later statement of the same name replaces this one. */
  readonly name: string;
  readonly text: string;
  /** What it is set to, of those that say where the session reads; undefined for what it is by default. */
  readonly value?: string | undefined;
}

interface Savepoint {
  readonly name: string;
  readonly settings: readonly Setting[];
}

const roles = /^(role|session_authorization)$/;

/** What a session has set, as statements that give another connection the same state. Follows transactions as PostgreSQL's settings do. Pure. */
export class SessionSettings {
  #current: readonly Setting[] = [];
  /** What the session has begun with: RESET comes back to it. */
  #first: readonly Setting[] = [];
  #before: readonly Setting[] | undefined;
  #savepoints: readonly Savepoint[] = [];
  /** Names that SET LOCAL has set in this transaction; it may have been undone since. */
  #local: ReadonlySet<string> = new Set();

  get texts(): readonly string[] {
    return this.#current.map(({ text }) => text);
  }

  /** Settings with a dot in their names, which mean nothing to a server: each server of the session has the same values for them. */
  get isBlank(): boolean {
    return this.#current.length === 0;
  }

  get customNames(): readonly string[] {
    return [...new Set([...this.#current.map(({ name }) => name), ...this.#local])].filter((name) => name.includes('.'));
  }

  /** Of those, what a node must know: not where it is read. */
  get nodeTexts(): readonly string[] {
    return this.#current.filter(({ name }) => !isReadSetting(name)).map(({ text }) => text);
  }

  /** No node must know anything. */
  get isEmpty(): boolean {
    return this.#current.every(({ name }) => isReadSetting(name));
  }

  /** It may act as another role than it has begun as. */
  get takesRoles(): boolean {
    return this.has(roles) || [...this.#local].some((name) => roles.test(name));
  }

  valueOf(name: string): string | undefined {
    return this.#current.find((setting) => setting.name === name)?.value;
  }

  get hasSavepoints(): boolean {
    return this.#savepoints.length > 0;
  }

  has(pattern: RegExp): boolean {
    return this.#current.some(({ name }) => pattern.test(name));
  }

  set(setting: Setting): void {
    // Another user begins without the role that was set before.
    const isReplaced = (name: string): boolean => name === setting.name || (setting.name === 'session_authorization' && name === 'role');
    this.#current = [...this.#current.filter(({ name }) => !isReplaced(name)), setting];
  }

  setLocal(name: string): void {
    this.#local = new Set([...this.#local, name]);
  }

  /** What is set now is what the session begins with. */
  beginsWithThese(): void {
    this.#first = this.#current;
  }

  clear(): void {
    this.#current = this.#first;
  }

  /** What RESET and SET … TO DEFAULT have to run, where a connection does not begin as the session has; without a name, RESET ALL. */
  resetting(text: string, { name, local }: { readonly name: string | undefined; readonly local: boolean }): string {
    if (name === undefined) return [text, ...this.#first.map((setting) => setting.text)].join(';\n');
    const first = this.#first.find((setting) => setting.name === name);
    if (first === undefined) return text;
    return local ? first.text.replace(/^SET SESSION\b/, 'SET LOCAL').replace(/, false\)$/, ', true)') : first.text;
  }

  begin(): void {
    this.#before = this.#current;
    this.#savepoints = [];
    this.#local = new Set();
  }

  commit(): void {
    this.#before = undefined;
    this.#savepoints = [];
    this.#local = new Set();
  }

  rollback(): void {
    this.#current = this.#before ?? this.#current;
    this.commit();
  }

  savepoint(name: string): void {
    this.#savepoints = [...this.#savepoints, { name, settings: this.#current }];
  }

  release(name: string): void {
    this.#savepoints = this.#savepoints.slice(0, Math.max(this.#indexOf(name), 0));
  }

  rollbackTo(name: string): void {
    const index = this.#indexOf(name);
    this.#current = this.#savepoints[index]?.settings ?? this.#current;
    this.#savepoints = this.#savepoints.slice(0, index + 1);
  }

  #indexOf(name: string): number {
    return this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
  }
}

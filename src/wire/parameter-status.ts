import type { Session } from '../session/session.ts';
import { textTypes } from '../cluster/query-result.ts';
import type { BackendWriter } from './backend-writer.ts';

/** Settings whose changes clients are told of. */
const reported = [
  'application_name', 'client_encoding', 'DateStyle', 'default_transaction_read_only', 'integer_datetimes', 'in_hot_standby', 'IntervalStyle', 'scram_iterations', 'search_path', 'server_encoding', 'server_version',
  'standard_conforming_strings', 'TimeZone',
] as const;

/** What the server keeps to for a client that waits, in place of the servers behind it, whose connections wait at other times. In milliseconds. */
const timeouts = ['idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout'] as const;

const query = `SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN (${[...reported, ...timeouts].map((name) => `'${name}'`).join(', ')})`;

/** What the client was told of its settings, and those that are kept to here. */
export class ParameterStatus {
  readonly #told = new Map<string, string>();

  get applicationName(): string {
    return this.#told.get('application_name') ?? '';
  }

  tell(out: BackendWriter, name: string, value: string): void {
    if (this.#told.get(name) === value) return;
    this.#told.set(name, value);
    if (!timeouts.some((one) => one === name)) out.parameterStatus(name, value);
  }

  /** After how many milliseconds without a statement the session has asked to be ended, in a transaction block or outside; 0: never. */
  idleTimeoutMs(inTransaction: boolean): number {
    return Number(this.#told.get(timeouts[inTransaction ? 1 : 0]) ?? 0);
  }

  /** How many milliseconds a transaction may take; 0: any, as on servers that do not know of it. */
  get transactionTimeoutMs(): number {
    return Number(this.#told.get(timeouts[2]) ?? 0);
  }

  /** Reads the session's settings, and tells what has changed. */
  async refresh(session: Session, out: BackendWriter): Promise<ReadonlyMap<string, string>> {
    const [statement] = session.parse({ text: query });
    if (statement === undefined) return this.#told;
    const result = await session.run(statement, { text: query, rowMode: 'array', types: textTypes });
    const rows = result.rows as unknown as readonly (readonly [string, string])[];
    for (const [name, value] of rows) this.tell(out, name, value);
    return this.#told;
  }
}

import type { StatementShape } from '../cluster/node-connection.ts';
import type { Statement } from '../sql/parse.ts';
import type { Format } from './frontend-message.ts';

/** What Parse has made. */
export interface ClientStatement {
  /** Undefined for an empty text. */
  readonly statement: Statement | undefined;
  readonly shape: StatementShape;
  /** The message that describes its columns as text, once it was asked for. */
  description: Buffer | undefined;
}

/** What Bind has made. */
export interface ClientPortal {
  readonly prepared: ClientStatement;
  /** Texts. */
  readonly values: readonly (string | null)[];
  readonly resultFormats: readonly Format[];
  /** Rows were asked for in parts: it is open in the session under this name. */
  opened: OpenedPortal | undefined;
  isDone: boolean;
}

export interface OpenedPortal {
  readonly name: string;
  readonly command: string;
}

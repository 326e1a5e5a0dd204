import type { Settings } from './default-settings.ts';
import type { PostgresMajor } from './find-binaries.ts';

export interface PostgresOptions {
  /** 18 by default, or the version of an existing data directory. */
  readonly major?: PostgresMajor | undefined;
  /** Kept after the end, and used again if it has data. By default a temporary one, removed at the end. */
  readonly dataDirectory?: string | undefined;
  /** A free one by default. */
  readonly port?: number | undefined;
  /** Server settings; they win over `defaultSettings`, postgresql.conf and ALTER SYSTEM. */
  readonly settings?: Settings | undefined;
  /** Of a new data directory: a name for initdb (`en_US.UTF-8`), or `icu:` and an ICU locale (`icu:en-US`). C.UTF-8 by default. */
  readonly locale?: string | undefined;
  /** Aborting gives up the start; it does not stop a server that runs. */
  readonly signal?: AbortSignal | undefined;
}

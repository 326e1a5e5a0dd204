import { ClusterError } from '../base/errors.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';

/** What makes a server fit to be a node, as it answers itself. */
export interface ServerProperties {
  readonly version: number;
  readonly preparedTransactionsMax: number;
  readonly walLevel: string;
  readonly inRecovery: boolean;
  readonly encoding: string;
  /** Provider, collation, character type and locale of the database: all that decides how text sorts and folds. */
  readonly locale: string;
}

const versionMin = 150_000;

const query = `
SELECT json_build_object('version', current_setting('server_version_num')::integer,
  'preparedTransactionsMax', current_setting('max_prepared_transactions')::integer,
  'walLevel', current_setting('wal_level'), 'inRecovery', pg_catalog.pg_is_in_recovery(),
  'encoding', pg_catalog.pg_encoding_to_char(d.encoding), 'locale', pg_catalog.concat_ws(' ',
    CASE d.datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' END,
    CASE WHEN d.datlocprovider = 'c' THEN pg_catalog.replace(pg_catalog.lower(d.datcollate), 'utf-8', 'utf8')
      ELSE coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale') END,
    CASE WHEN d.datlocprovider <> 'b' THEN pg_catalog.replace(pg_catalog.lower(d.datctype), 'utf-8', 'utf8') END))
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`;

export async function readServerProperties(connection: NodeConnection, options?: CallOptions): Promise<ServerProperties> {
  const { rows } = await connection.query({ text: query }, options);
  return JSON.parse(rows[0]?.[0] ?? '{}') as ServerProperties;
}

/** `unsupportedNode`, with the command that helps, when the server cannot hold shards of this coordinator database. */
export function checkServer(node: ServerProperties, coordinator: ServerProperties): void {
  const objection = firstObjection(node, coordinator);
  if (objection !== undefined) throw new ClusterError('unsupportedNode', objection.message, objection);
}

interface Objection {
  readonly message: string;
  readonly detail?: string;
  readonly hint: string;
}

function firstObjection(node: ServerProperties, coordinator: ServerProperties): Objection | undefined {
  return objectionToServer(node) ?? objectionToSettings(node) ?? objectionToDatabase(node, coordinator);
}

function objectionToServer({ version, inRecovery }: ServerProperties): Objection | undefined {
  if (version < versionMin) {
    const message = `the node runs PostgreSQL ${Math.floor(version / 10_000)}, but 15 is the oldest version supported`;
    return { message, hint: 'Upgrade the server.' };
  }
  if (inRecovery) return { message: 'the node is a standby', hint: 'Add its primary.' };
  return undefined;
}

function objectionToSettings({ preparedTransactionsMax, walLevel }: ServerProperties): Objection | undefined {
  if (preparedTransactionsMax === 0) {
    return {
      message: 'the node has max_prepared_transactions = 0',
      detail: 'Two-phase commit needs a prepared transaction for each transaction that commits.',
      hint: 'Run ALTER SYSTEM SET max_prepared_transactions = 200 (at least max_connections) on it, and restart it.',
    };
  }
  if (walLevel !== 'logical') {
    return {
      message: `the node has wal_level = ${walLevel}`,
      detail: 'Moving shards uses logical decoding.',
      hint: 'Run ALTER SYSTEM SET wal_level = logical on it, and restart it.',
    };
  }
  return undefined;
}

function objectionToDatabase(node: ServerProperties, coordinator: ServerProperties): Objection | undefined {
  if (node.encoding !== 'UTF8') {
    return { message: `the node's database has encoding ${node.encoding}`, hint: "Create it with ENCODING 'UTF8' TEMPLATE template0." };
  }
  if (node.locale === coordinator.locale) return undefined;
  return {
    message: "the node's database sorts text by another locale than the coordinator database",
    detail: `The node's is "${node.locale}", the coordinator database's "${coordinator.locale}": rows would come in different orders.`,
    hint: 'Create the database with the same LOCALE_PROVIDER, LC_COLLATE, LC_CTYPE and ICU_LOCALE, from TEMPLATE template0.',
  };
}

import { randomBytes } from 'node:crypto';
import { formatVerifier, verifierOf } from '../../cluster/scram-verifier.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import type { Everywhere, PasswordText } from '../../plan/ddl/everywhere.ts';
import { quoteLiteral } from '../../sql/identifiers.ts';

/**
 * The statement with what is to be stored of the password that it gives, in the password's place: servers that made that up themselves would each take another salt, and what a client of the wire server proves could not be passed on to all. Passwords of characters
 * that SASLprep might change are left to the servers, and where they store passwords in another way.
 */
export async function withOnePassword(everywhere: Everywhere, coordinator: NodeConnection, options: CallOptions): Promise<string | undefined> {
  const { password, text } = everywhere;
  if (password === undefined || !/^[\x20-\x7e]+$/.test(password.value) || /^(SCRAM-SHA-256\$|md5)/.test(password.value)) return undefined;
  const { rows } = await coordinator.query({ text: `SELECT pg_catalog.current_setting('password_encryption'), pg_catalog.current_setting('scram_iterations', true)` }, options);
  const [encryption, iterations] = rows[0] ?? [];
  if (encryption !== 'scram-sha-256') return undefined;
  return spliced(text, password, formatVerifier(verifierOf(password.value, { salt: randomBytes(16), iterations: Number(iterations ?? iterationsDefault) })));
}

/** Before PostgreSQL 16, which has a setting for it. */
const iterationsDefault = 4096;

function spliced(text: string, { start, end }: PasswordText, stored: string): string {
  return `${text.slice(0, start)}${quoteLiteral(stored)}${text.slice(end)}`;
}

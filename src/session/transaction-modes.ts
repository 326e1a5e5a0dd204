import { at } from '../base/assert.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';

/** The modes of BEGIN with those that the session has set as defaults. */
export async function withDefaultModes(connection: NodeConnection, modes: string): Promise<string> {
  const defaults = await readModes(connection, 'default_transaction');
  const all = modes === '' ? [] : [modes];
  if (!/isolation/i.test(modes)) all.push(defaults.isolation);
  if (!/read\s+(only|write)/i.test(modes)) all.push(defaults.access);
  if (!/deferrable/i.test(modes)) all.push(defaults.deferrable);
  return all.join(', ');
}

/** The modes of the transaction that a connection is in, as BEGIN would have them. */
export async function currentModes(connection: NodeConnection): Promise<string> {
  const { isolation, access, deferrable } = await readModes(connection, 'transaction');
  return [isolation, access, deferrable].join(', ');
}

async function readModes(connection: NodeConnection, prefix: string): Promise<{ readonly isolation: string; readonly access: string; readonly deferrable: string }> {
  // Not by a query, which would take the transaction's snapshot: modes may be set until then.
  const shown = await connection.queryEach(['isolation', 'read_only', 'deferrable'].map((name) => `SHOW ${prefix}_${name}`).join('; '));
  const [isolation, readOnly, deferrable] = shown.map(({ rows }) => at(rows, 0)[0]);
  return { isolation: `ISOLATION LEVEL ${isolation ?? ''}`, access: readOnly === 'on' ? 'READ ONLY' : 'READ WRITE', deferrable: deferrable === 'on' ? 'DEFERRABLE' : 'NOT DEFERRABLE' };
}
